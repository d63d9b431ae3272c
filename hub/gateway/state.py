"""What the gateway's handlers share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import time
from typing import Any

import msgspec
from fastapi import HTTPException

from hub.config import HubConfig
from hub.delivery.subscription import Subscription
from hub.journal.entry import Entry
from hub.journal.queries import Queries
from hub.journal.rows import Failure
from hub.loading import Loaded
from hub.stream.ingest import Ingest
from hub.stream.redrive import redriven
from hub.stream.stage import journal_output
from hub.stream.subscriptions import Subscriptions


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that handlers use; made once, at start."""

    loaded: Loaded
    servers: str
    ingest: Ingest
    subscriptions: Subscriptions
    journal: Queries
    master_key: bytes
    operator_token: str

    @property
    def config(self) -> HubConfig:
        """`hub.yaml`."""
        return self.loaded.settings.config

    async def known(self, subscription_id: str, done: Callable[[Subscription | None], bool]) -> None:
        """Wait until our own view shows a change that was written, so that the caller reads what it wrote."""
        for _ in range(100):
            if done(self.subscriptions.get(subscription_id)):
                return
            await asyncio.sleep(0.05)
        raise HTTPException(503, "The change is written but not yet seen; look again.")

    async def redrive(self, failures: Sequence[Failure]) -> list[str]:
        """Send dead letters again, each marked in the journal once it is in Kafka. Returns the ids sent."""
        sent = []
        for failure in failures:
            output = await asyncio.to_thread(redriven, self.servers, failure)
            if output is None:
                continue
            await self.ingest.put(output)
            entry = Entry(
                at=time(),
                stage="redrive",
                outcome="redriven",
                event_id=failure.event_id,
                type=failure.type,
                subject=failure.subject,
                party=failure.party,
                dead_letter=failure.id,
            )
            await self.ingest.put(journal_output(entry))
            sent.append(failure.id)
        await asyncio.to_thread(self.journal.mark_redriven, sent)
        return sent

    def connectors(self) -> list[dict[str, Any]]:
        """Every instance with its sources and sinks."""
        return [
            {
                "instance": name,
                "connector": member.instance.connector,
                "party": member.instance.party,
                "webhook": f"/webhooks/{name}" if member.webhook else "",
                "polls": [source.name for source in member.pollers],
                "sinks": [sink.name for sink in member.sinks],
            }
            for name, member in self.loaded.fleet.members.items()
        ]

    async def status(self) -> dict[str, Any]:
        """Counts from the journal, and whether Kafka answers."""
        counts = await asyncio.to_thread(self.journal.counts)
        kafka = await asyncio.to_thread(self.ingest.answers)
        return {
            "kafka": "answers" if kafka else "away",
            "counts": msgspec.to_builtins(counts),
            "subscriptions": len([one for one in self.subscriptions.all() if one.status == "active"]),
            "instances": len(self.loaded.fleet.members),
        }
