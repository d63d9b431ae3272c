"""How often a broker is asked for records, for which, and when."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Set
from contextlib import suppress
from typing import TypeVar

P = TypeVar("P")

#: Seconds between two fetches of one broker under load: where each leads to a transaction, and where what comes was
#: gathered by whoever wrote it.
GATHER_S, GATHERED_S = 0.04, 0.012

#: How many fetches a broker is asked at once after a pause.
AT_ONCE = 6

#: How often what is read `seldom` is asked for under load, seconds, which is where a broker is asked more often than
#: every `BUSY_S`.
SELDOM_S, BUSY_S = 1.0, 0.1


class Pace:
    """Under load a broker is asked every `gather_s` and no more often, and for topics that are `seldom` once a second.

    Every fetch asks for every partition, some 40 µs of work here and there for each, and mostly brings a record or
    two, which then lead to a transaction of their own: so a busy hub would spend itself on asking. After a pause a
    broker is asked a few times at once, as one event on its way through the stages needs. Where a fetch waits for
    topics that are read seldom, every record that comes in them has Kafka look at all the others again.
    """

    def __init__(self, seldom: Set[str], gather_s: float) -> None:
        self._seldom = seldom
        self._gather_s = gather_s
        self._due: dict[int, float] = {}
        self._busy: dict[int, float] = {}
        self._asked_for_all: dict[int, float] = defaultdict(lambda: -SELDOM_S)

    def next(self, node: int, topics: list[tuple[str, P]], now: float) -> tuple[float, list[tuple[str, P]]]:
        """In how many seconds to ask the broker `node`, and for which of `topics`, one at least if there are any."""
        wait = max(_next(self._due, node, self._gather_s, now) - now, 0.0)
        busy = _next(self._busy, node, BUSY_S, now) > now
        hurried = [one for one in topics if one[0] not in self._seldom]
        if hurried and busy and now < self._asked_for_all[node] + SELDOM_S:
            return wait, hurried
        self._asked_for_all[node] = now
        return wait, topics


def _next(due: dict[int, float], node: int, every: float, now: float) -> float:
    """When something is due that is due so often, but a few times at once after a pause."""
    at = max(due.get(node, 0.0), now - AT_ONCE * every)
    due[node] = min(at, now + every + SELDOM_S) + every  # who does not keep to it is forgiven in a while
    return at


#: Records of a turn at most whose end a fetch waits for; with more the stage is better fed meanwhile.
_FEW = 256

#: Seconds that a fetch waits at most: the same one may be for other stages, too.
_PATIENCE_S = 0.1


class Occupied:
    """Whether a stage is at work on a few records, so that what is fetched now would only wait for it.

    Fetched when the stage is free it is more, and as soon through. Told on one event loop, waited for on another.
    """

    def __init__(self) -> None:
        self._few = False
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = set()

    def begin(self, records: int) -> None:
        """A turn over so many records."""
        if records <= _FEW:
            self._few = True
        else:
            self.end()

    def end(self) -> None:
        """The stage is free, or has so much that it should be fed."""
        self._few = False
        waiting, self._waiting = self._waiting, set()
        for loop, future in list(waiting):
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(_settle, future)

    async def over(self) -> None:
        """Returns when a turn over a few records is over, or takes long."""
        if not self._few:
            return
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.add((loop, future))
        try:
            if self._few:  # else it ended before it could know of us
                async with asyncio.timeout(_PATIENCE_S):
                    await future
        except TimeoutError:
            pass
        finally:
            self._waiting.discard((loop, future))


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
