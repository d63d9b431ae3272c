"""Not asking too often: a rate limit that listens to the system, and a circuit breaker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic, time

from hub.sdk.errors import Retry

#: For how long a system that we ask is left alone at most, seconds, whatever it says.
LONGEST_PAUSE_S = 3_600.0
#: What is longer is waited for between two calls, not within one, which has a time of its own and would be given up.
_LONGEST_SLEEP_S = 30.0


class RateLimit:
    """At most `count` calls in any `per_s` seconds, fewer where the system says so in its answers.

    Heard: `Retry-After`, `RateLimit-Remaining`/`-Reset` and `X-RateLimit-Remaining`/`-Reset` (the reset as
    seconds to wait or as epoch seconds, as systems do both). `now` and `sleep` are the seam for tests.
    """

    def __init__(
        self,
        count: int,
        per_s: float = 1.0,
        now: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._count, self._per_s = count, per_s
        self._now, self._sleep = now, sleep
        self._calls: deque[float] = deque(maxlen=count)
        self._not_before = 0.0
        self._turn = asyncio.Lock()  # in order of arrival

    async def wait(self) -> None:
        """Return when the next call may be made. Raises Retry where the system asked to wait for over half a minute."""
        async with self._turn:
            while (pause := self._due() - self._now()) > 0:
                if (left := self._not_before - self._now()) > _LONGEST_SLEEP_S:
                    raise Retry("the system said that it takes no more calls for now", after=left)
                await self._sleep(pause)
            self._calls.append(self._now())

    def heard(self, headers: Mapping[str, str], asked_to_wait: float | None = None) -> None:
        """Take note of what an answer's headers say, and of its `Retry-After` in seconds if it was refused."""
        wait = asked_to_wait or 0.0
        for prefix in ("ratelimit-", "x-ratelimit-"):
            if headers.get(f"{prefix}remaining", "").strip() == "0":
                wait = max(wait, _seconds(headers.get(f"{prefix}reset", "")))
        if wait > 0:
            self._not_before = max(self._not_before, self._now() + min(wait, LONGEST_PAUSE_S))

    def _due(self) -> float:
        full = len(self._calls) == self._count
        return max(self._not_before, self._calls[0] + self._per_s if full else self._not_before)


def _seconds(reset: str) -> float:
    try:
        told = float(reset)
    except ValueError:
        return 0.0
    return told - time() if told > 1_000_000_000 else told


class Breaker:
    """After `failures` in a row nobody asks for `rest_s` seconds; then one call tries, and the rest follow it."""

    def __init__(self, failures: int = 5, rest_s: float = 30.0, now: Callable[[], float] = monotonic) -> None:
        self._limit, self._rest_s, self._now = failures, rest_s, now
        self._failed = 0
        self._open_until = 0.0

    def ask(self) -> None:
        """Raises Retry, with the time that is left, while nobody may ask."""
        left = self._open_until - self._now()
        if left > 0:
            raise Retry(f"the system failed {self._failed} times in a row and is left in peace", after=left)
        if self._failed >= self._limit:
            self._open_until = self._now() + self._rest_s  # this call tries; the others wait for it

    def worked(self) -> None:
        """The system answered."""
        self._failed, self._open_until = 0, 0.0

    def failed(self) -> None:
        """It did not, or with an error of its own."""
        self._failed += 1
        if self._failed >= self._limit:
            self._open_until = self._now() + self._rest_s
