"""Where each partition stands: which fetches may be handed to the stages, and as which batch.

Kafka refuses to commit what was read under a membership that it has given up. What it cannot see is told apart
here: what was read before anybody knew where our transactions had ended, and what came twice, or was left out,
between two batches. No thread and no client in it: a state machine holds it (`tests/stream/test_any_order.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hub.stream.records import Batch, Fence, Place, Positions, Record


@dataclass(slots=True)
class _Next:
    """The batch to come of one partition."""

    offset: int
    number: int = 0
    lost: range = range(0)


class Standing:
    """The partitions of one worker under the membership `fence`, None between two; `positions` as it began."""

    def __init__(self) -> None:
        self.fence: Fence | None = None
        self.positions: Positions = {}
        self._before: Fence | None = None
        self._next: dict[Place, _Next] = {}

    def begin(self, fence: Fence, positions: Positions) -> None:
        """Our transactions ended at `positions`, and what is fetched from there on may be handed out."""
        self.fence, self.positions = fence, positions
        self._next = {place: _Next(offset) for place, offset in positions.items()}

    def end(self) -> None:
        """The partitions are taken back."""
        self._before, self.fence = self.fence or self._before, None

    def was(self, fence: Fence) -> bool:
        """Whether `fence` has ended before: a member may be given it again. Its old batches would pass as new."""
        return fence == self._before

    def pass_over(self, place: Place, to: int) -> range:
        """Kafka has nothing between where `place` stands and `to`. The offsets that are lost."""
        at = self._next[place]
        at.lost = range(at.lost.start if at.lost else at.offset, to)
        at.offset = to
        return at.lost

    def batch(self, fence: Fence, place: Place, records: Sequence[Record], reached: int) -> Batch | None:
        """The next of `place`: `records`, which were read on the way to `reached`, under `fence`.

        None for what is not to be handed out, because it was read before `begin`, and where nothing was read.
        """
        at = self._next.get(place)
        if fence != self.fence or at is None or (reached == at.offset and not at.lost):
            return None
        self._next[place] = _Next(reached, at.number + 1)
        return Batch(*place, records, fence, at.number, reached, at.lost)


class Sequel:
    """The other end of `Standing`: holds a stage to take each batch once and to leave none out."""

    def __init__(self) -> None:
        self._fence: Fence | None = None
        self._numbers: dict[Place, int] = {}

    def check(self, batch: Batch) -> None:
        """Raises RuntimeError for a batch out of turn: going on would lose records, or repeat them."""
        if batch.fence != self._fence:
            self._fence, self._numbers = batch.fence, {}
        wanted = self._numbers.get(batch.place, 0)
        if batch.number != wanted:
            name = f"{batch.topic}-{batch.partition}"
            raise RuntimeError(f"batch {batch.number} of {name} came where {wanted} was to come")
        self._numbers[batch.place] = wanted + (not batch.more)
