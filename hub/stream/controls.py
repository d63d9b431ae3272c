"""What operators said about instances: paused, or resumed after a halt. Followed by every process."""

from __future__ import annotations

import asyncio
from time import time

import msgspec

from hub.stream import topics
from hub.stream.following import Follower
from hub.stream.records import Output


class Control(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last word on one instance, at a time in epoch seconds."""

    paused: bool
    at: float
    reason: str = ""


class Controls(Follower):
    """A read model that follows `hub.controls`, keyed by instance. Answers from any thread."""

    topic = topics.CONTROLS

    def __init__(self) -> None:
        self._of: dict[str, Control] = {}
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def change(self, key: str, value: bytes | None) -> None:
        """Take in one record of the topic."""
        if value is None:
            self._of.pop(key, None)
        else:
            self._of[key] = msgspec.json.decode(value, type=Control)
        for loop, event in list(self._waiting):
            loop.call_soon_threadsafe(event.set)

    def of(self, instance: str) -> Control:
        """The last word on an instance; one that nobody spoke of runs."""
        return self._of.get(instance, _NOTHING_SAID)

    async def until_running(self, instance: str, since: Control | None = None) -> None:
        """Return when the instance is not paused, and something else was said of it than `since`, if that is given.

        Not by the times: the clock of who speaks and that of who listens may differ.
        """
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        waiter = (loop, event)
        self._waiting.add(waiter)
        try:
            while (said := self.of(instance)).paused or said == since:
                await event.wait()
                event.clear()
        finally:
            self._waiting.discard(waiter)


def control_output(instance: str, paused: bool, reason: str = "") -> Output:
    """The record that pauses or resumes an instance."""
    said = Control(paused=paused, at=time(), reason=reason)
    return Output(topics.CONTROLS, instance.encode(), msgspec.json.encode(said), [], 0)


_NOTHING_SAID = Control(paused=False, at=0)
