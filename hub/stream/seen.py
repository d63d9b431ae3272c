"""Which facts were translated already: marks per partition, in bounded memory, read from their topic."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from pathlib import Path

from hub.stream import topics
from hub.stream.marks import Marks
from hub.stream.reading import bounds, read_all
from hub.stream.records import Batch, Fence, Output

#: Marks that were written and not read again yet, over all partitions.
_MANY = 100_000


class Seen:
    """Marks of translated events, 16 bytes each, per partition.

    A record and all repeats of its facts have one key, so they are in one partition, and so are their marks in
    `hub.seen`, whose retention is the window in which a repeat is recognised. Of a partition, what was read from
    there is kept in files in `folder` (`hub.stream.marks`) for as long as the process lives; per generation, since
    another worker may have held it meanwhile, only what is new is read.
    """

    def __init__(self, servers: str, folder: Path, many: int = _MANY) -> None:
        self._servers = servers
        self._folder = folder
        self._many = many
        self._windows: dict[int, Window] = {}

    def of(self, batch: Batch) -> Window:
        """The marks for a batch's partition; the caller adds to them what it writes."""
        window = self._windows.get(batch.partition)
        if window is None:
            window = self._windows[batch.partition] = Window(self._servers, self._folder, batch.partition)
        if window.fence != batch.fence:
            window.begin(batch.fence)
        elif sum(len(one.fresh) for one in self._windows.values()) >= self._many:
            for one in self._windows.values():
                one.catch_up()
        return window

    def drop(self, batches: Iterable[Batch]) -> None:
        """Forget what was added for these batches: it was never committed."""
        for batch in batches:
            if batch.partition in self._windows:
                self._windows[batch.partition].fence = None

    @staticmethod
    def mark(event_id: str) -> bytes:
        """The mark of an event."""
        return uuid.UUID(event_id).bytes

    @staticmethod
    def output(mark: bytes, partition: int) -> Output:
        """The record that makes a mark durable, in the partition of its subject."""
        return Output(topics.SEEN, mark, b"", partition=partition)


class Window:
    """The marks of one partition: those that were read from the topic, and beside them those that are `fresh`.

    `fence` is the membership under which they are complete.
    """

    def __init__(self, servers: str, folder: Path, partition: int) -> None:
        self.fence: Fence | None = None
        self.fresh: set[bytes] = set()
        self._servers = servers
        self._partition = partition
        self._marks = Marks(folder)
        self._read = 0  # all before this offset is in `_marks`

    def __contains__(self, mark: bytes) -> bool:
        return mark in self.fresh or mark in self._marks

    def add(self, mark: bytes) -> None:
        """It is being written."""
        self.fresh.add(mark)

    def begin(self, fence: Fence) -> None:
        """What was added and not committed is forgotten, what others have committed is read. Raises KafkaException."""
        self.fresh.clear()
        self.catch_up()
        self.fence = fence

    def catch_up(self) -> None:
        """Read what was committed since. Raises KafkaException."""
        first, end = bounds(self._servers, topics.SEEN, self._partition)
        if end > self._read:
            for message in read_all(self._servers, topics.SEEN, self._partition, self._read):
                self._marks.add(message.key(), message.offset())
                self._read = message.offset() + 1
            self._read = max(self._read, end)  # behind the last there may be its marker
        self._marks.forget_before(first)
        self.fresh = {mark for mark in self.fresh if mark not in self._marks}
