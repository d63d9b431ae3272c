"""How a stage gets on: told by the stage from any of its threads, read by the watchdog."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from hub.stream.records import Place, Positions

_mine = threading.local()


class Progress:
    """Of one stage. `waiting` tells how many batches wait for it, `holds` whether some of a partition's do.

    Each counter is only ever compared with what it was, so that no lock is needed.
    """

    def __init__(
        self,
        name: str,
        waiting: Callable[[], int] = lambda: 0,
        holds: Callable[[Place], bool] = lambda _: False,
    ) -> None:
        self.name = name
        self.waiting = waiting
        self.holds = holds
        self.moves = 0
        """Grows with all that is done; what it counts is of no account."""
        self.at_work = 0
        """Pieces of work under way that no position stands for."""
        self.waits_for = ""
        """What of the outside world the stage waits for, if it does: then it is not at fault."""
        self.committed_at = 0.0
        """When it last committed, by the monotonic clock; 0 for never."""
        self.positions: Positions = {}

    def committed(self, positions: Positions) -> None:
        """What was read up to there is done, and in Kafka."""
        self.positions.update(positions)
        self.committed_at = monotonic()
        self.moves += 1

    def moved(self) -> None:
        """Something was done that is no commit."""
        self.moves += 1

    @contextmanager
    def work(self) -> Iterator[None]:
        """Work of the length of the block, by one thread or coroutine."""
        self.at_work += 1
        try:
            yield
        finally:
            self.at_work -= 1
            self.moves += 1

    def bind(self) -> None:
        """What the calling thread does from now on is done for this stage: see `moved`."""
        _mine.progress = self


def moved() -> None:
    """The calling thread got on with something long, for whichever stage it works."""
    if (progress := _bound()) is not None:
        progress.moved()


def waits_for(what: str) -> None:
    """The calling thread's stage waits for something of the outside world, or, with nothing, no longer does."""
    if (progress := _bound()) is not None:
        progress.waits_for = what


def _bound() -> Progress | None:
    progress: Progress | None = getattr(_mine, "progress", None)
    return progress
