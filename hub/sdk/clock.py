"""Time as a connector and a simulator see it, so that three days of retries can pass in a second."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")
"""The time that councils and central bodies keep, and mean where they write a day or a time without a zone."""


def london_day(moment: datetime) -> date:
    """The day that it is there; `moment` is aware."""
    return moment.astimezone(LONDON).date()


class Clock:
    """The time of day, running `speed` times as fast as life, from `start` (default: now)."""

    def __init__(self, speed: float = 1.0, start: datetime | None = None) -> None:
        self.speed = speed
        self._real = speed == 1.0 and start is None
        self._start = start or datetime.now(UTC)
        self._origin = monotonic()

    def now(self) -> datetime:
        """The time, aware, in UTC."""
        if self._real:  # a monotonic clock drifts from the world's over weeks, and stops while suspended
            return datetime.now(UTC)
        return self._start + timedelta(seconds=(monotonic() - self._origin) * self.speed)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of this clock."""
        await asyncio.sleep(seconds / self.speed)


class SteppedClock(Clock):
    """A clock that stands still except when someone sleeps or `advance`s it: exact times for tests."""

    def __init__(self, start: datetime | None = None) -> None:
        super().__init__(1.0, start)
        self._now = self._start

    def now(self) -> datetime:
        """The time that the steps so far add up to."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self._now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        """Step forward by `seconds` at once, letting other tasks run."""
        self.advance(seconds)
        await asyncio.sleep(0)
