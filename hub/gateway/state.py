"""What the gateway's handlers share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import HTTPException

from hub.config import HubConfig
from hub.delivery.subscription import Subscription
from hub.gateway.health import Health
from hub.journal.database import JournalError
from hub.journal.queries import Queries
from hub.loading import Loaded
from hub.stream.health import Verdict
from hub.stream.ingest import Ingest
from hub.stream.jobs import Jobs
from hub.stream.subscriptions import Subscriptions
from hub.stream.trial import Trial


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts that handlers use; made once, at start."""

    loaded: Loaded
    servers: str
    ingest: Ingest
    health: Health
    subscriptions: Subscriptions
    jobs: Jobs
    journal: Queries
    trial: Trial
    master_key: bytes
    operator_token: str

    @property
    def config(self) -> HubConfig:
        """`hub.yaml`."""
        return self.loaded.settings.config

    async def known(self, subscription_id: str, done: Callable[[Subscription | None], bool]) -> None:
        """Wait until our own view of a subscription is as it should be."""
        await self.until(lambda: done(self.subscriptions.get(subscription_id)))

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until our own view shows a change that was written, so that the caller reads what it wrote."""
        for _ in range(100):
            if done():
                return
            await asyncio.sleep(0.05)
        raise HTTPException(503, "The change is written but not yet seen; look again.")

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
        """How the hub is; with it counts from the journal, if that can be read."""
        report = self.health.report()
        try:
            counts = await asyncio.to_thread(self.journal.counts)
            report["counts"] = msgspec.to_builtins(counts)
        except JournalError as error:
            report["counts"] = None
            report["ill"].append(
                {"worker": "", **msgspec.to_builtins(Verdict(part="journal", kind="away", told=str(error)))}
            )
        return {
            "kafka": "away" if self.ingest.away else "answers",
            "subscriptions": len([one for one in self.subscriptions.all() if one.status == "active"]),
            "instances": len(self.loaded.fleet.members),
            **report,
        }
