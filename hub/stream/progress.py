"""How a stage gets on: told by the stage from any of its threads, read by the watchdog."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

from hub.stream.records import Batch, Positions, positions_of

_mine = threading.local()


class Progress:
    """Of one stage.

    Every batch that is `took` ends in `committed` or `returned`. Each counter has one writer or is only ever
    compared with what it was, so that no lock is needed.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.moves = 0
        """Grows with all that is done; what it counts is of no account."""
        self.waits_for = ""
        """What of the outside world the stage waits for, if it does: then it is not at fault."""
        self.committed_at = 0.0
        """When it last committed, by the monotonic clock; 0 for never."""
        self.positions: Positions = {}
        self._taken = 0
        self._done = 0

    @property
    def in_hand(self) -> int:
        """Batches taken and not done with."""
        return self._taken - self._done

    def took(self, _batch: Batch) -> None:
        """The stage's agent has a batch."""
        self._taken += 1

    def committed(self, batches: Sequence[Batch]) -> None:
        """Their outputs and positions are in Kafka."""
        self.positions.update(positions_of(batches))
        self.committed_at = monotonic()
        self.returned(batches)

    def returned(self, batches: Sequence[Batch]) -> None:
        """They are somebody else's now, or will be read again."""
        self._done += len(batches)
        self.moves += 1

    def moved(self) -> None:
        """Something was done that is no batch yet."""
        self.moves += 1

    @contextmanager
    def work(self) -> Iterator[None]:
        """Work of the length of the block, which no batch stands for."""
        self._taken += 1
        try:
            yield
        finally:
            self._done += 1
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
