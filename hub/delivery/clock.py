"""Time for whatever waits: epoch seconds that do not jump, and calls at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol


class Timer(Protocol):
    """A call that is due."""

    def cancel(self) -> None:
        """Not to be made after all."""


class Clock(Protocol):
    """The seam: what waits asks this and nothing else for the time."""

    def now(self) -> float:
        """Epoch seconds."""

    def call_at(self, when: float, call: Callable[..., object], *args: Any) -> Timer:
        """Make the call at `when` (epoch seconds), or right after this one if that is past."""


class LoopClock:
    """The running event loop's time, as epoch seconds from a start read once from the wall clock.

    A wall clock that is set back or forward while waiting therefore neither loses nor hurries a retry.
    `start` is for tests, whose loop has a time of its own.
    """

    def __init__(self, start: float | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._offset = (time.time() if start is None else start) - self._loop.time()

    def now(self) -> float:
        """Epoch seconds."""
        return self._loop.time() + self._offset

    def call_at(self, when: float, call: Callable[..., object], *args: Any) -> Timer:
        """Make the call at `when` (epoch seconds)."""
        return self._loop.call_at(when - self._offset, call, *args)
