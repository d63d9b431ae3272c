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
from hub.stream.conditions import Oversight
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
    oversight: Oversight
    master_key: bytes
    operator_token: str

    @property
    def config(self) -> HubConfig:
        """`hub.yaml`."""
        return self.loaded.settings.config

    async def known(self, subscription_id: str, done: Callable[[Subscription | None], bool]) -> None:
        """Wait a while until our own view of a subscription is as it was written.

        No longer: a secret is told once, and a refusal would have the caller make a second subscription.
        """
        await self._seen(lambda: done(self.subscriptions.get(subscription_id)))

    async def until(self, done: Callable[[], bool]) -> None:
        """Wait until our own view shows a change that was written, so that the caller reads what it wrote."""
        if not await self._seen(done):
            told = "The change is written but not yet seen; look again."
            raise HTTPException(503, told, {"retry-after": "5"})

    async def _seen(self, done: Callable[[], bool]) -> bool:
        for _ in range(100):
            if done():
                return True
            await asyncio.sleep(0.05)
        return False

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
