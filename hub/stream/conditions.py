"""How the sources and sinks of instances get on, in `hub.instances`: written by whoever runs one, read by all gateways.

A key is `<instance>/<source or sink>`. What is there is for people to see, never for the hub to act on: it is written
beside the transactions, a moment late, and the last writer is right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import time
from typing import Any

import msgspec

from hub.sdk.connector import Connector
from hub.stream import topics
from hub.stream.controls import Controls
from hub.stream.following import Follower
from hub.stream.ingest import KafkaAway
from hub.stream.records import Output

#: How often what changed is written, seconds, and how old a last good time may be before it is written anew.
_EVERY_S, _STALE_S = 0.5, 10.0


class Condition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Times in epoch seconds, 0 for never or unknown.

    `good_at` is when it last worked, `event_at` when that last brought or delivered something. `error` is what went
    wrong last, in the system's own words where its connector finds them. `failing` says that nothing worked since:
    not the times, for a clock may step back. `halted` says that a person must act.
    """

    good_at: float = 0
    event_at: float = 0
    error: str = ""
    error_at: float = 0
    failing: bool = False
    halted: bool = False
    credential_expires: float = 0

    @property
    def state(self) -> str:
        """In a word: `halted`, `failing`, `well`, or `unknown`."""
        if self.halted or self.failing:
            return "halted" if self.halted else "failing"
        return "well" if self.good_at else "unknown"


class Conditions:
    """Those of what this process runs. `good` and `bad` may be called as often as one likes."""

    def __init__(self, put: Callable[[Output], Awaitable[Any]]) -> None:
        self._put = put
        self._now: dict[str, Condition] = {}
        self._written: dict[str, Condition] = {}

    def of(self, key: str) -> Condition:
        """As it was told last."""
        return self._now.get(key, _UNKNOWN)

    def good(self, part: Connector[Any], *, event: bool) -> None:
        """It worked; `event` says that it brought or delivered something."""
        now, before = time(), self.of(part.key)
        self._now[part.key] = msgspec.structs.replace(
            before,
            good_at=now,
            event_at=now if event else before.event_at,
            failing=False,
            halted=False,
            credential_expires=part.credential_expires,
        )

    def bad(self, part: Connector[Any], reason: str, *, halted: bool = False) -> None:
        """It did not."""
        told = {"error": reason, "error_at": time(), "failing": True, "halted": halted}
        self._now[part.key] = msgspec.structs.replace(self.of(part.key), **told)

    async def run(self) -> None:
        """Write what changed, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            for key, condition in list(self._now.items()):
                if _differs(self._written.get(key, _UNKNOWN), condition):
                    try:
                        await self._put(Output(topics.INSTANCES, key.encode(), _encode(condition), [], 0))
                        self._written[key] = condition
                    except KafkaAway:
                        break  # and again


class KnownConditions(Follower):
    """A read model that follows `hub.instances`. Answers from any thread."""

    topic = topics.INSTANCES

    def __init__(self) -> None:
        self._of: dict[str, Condition] = {}

    def change(self, key: str, value: bytes | None) -> None:
        """Take in one record of the topic."""
        if value is None:
            self._of.pop(key, None)
        else:
            self._of[key] = msgspec.json.decode(value, type=Condition)

    def of(self, key: str) -> Condition:
        """The newest word on one."""
        return self._of.get(key, _UNKNOWN)


@dataclass(frozen=True, slots=True)
class Oversight:
    """What operators say of instances, and what they are told."""

    controls: Controls
    conditions: Conditions


def _differs(before: Condition, now: Condition) -> bool:
    """Whether it is worth a record; that all is well as before is told now and then."""
    stale = any(
        abs(getattr(now, at) - getattr(before, at)) > _STALE_S for at in ("good_at", "event_at", "error_at")
    )
    told = ("error", "state", "credential_expires")
    return stale or any(getattr(before, name) != getattr(now, name) for name in told)


_UNKNOWN = Condition()
_encode = msgspec.json.Encoder().encode
