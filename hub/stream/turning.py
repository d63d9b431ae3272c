"""Whether an event loop turns, as seen from another thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from time import monotonic


class Turning:
    """Asked now and then, by one thread, for how long a loop has not turned."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._asked = self._turned = monotonic()

    def late(self) -> float:
        """Seconds since the loop was asked to turn and did not; 0 when it did, or ended."""
        late = 0.0 if self._turned >= self._asked else monotonic() - self._asked
        if not late:
            self._asked = monotonic()
            with suppress(RuntimeError):  # it is closed
                self._loop.call_soon_threadsafe(self._turn)
        return late

    def _turn(self) -> None:
        self._turned = monotonic()
