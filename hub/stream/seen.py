"""Which facts were translated already: a set per partition that can be dropped and read back from its topic."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from hub.stream import topics
from hub.stream.reading import read_all
from hub.stream.records import Batch, Fence, Output

_Place = tuple[str, int]


class Seen:
    """Marks of translated events, 16 bytes each, per partition of the raw topics.

    A record and all repeats of its facts have one key, so they are in one partition, and so are their marks in
    `hub.seen`, whose retention is the window in which a repeat is recognised. The set of a partition is read
    from there once per generation, since another worker may have held the partition meanwhile.
    """

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._held: dict[_Place, tuple[Fence, set[bytes]]] = {}

    def of(self, batch: Batch) -> set[bytes]:
        """The set for a batch's partition; the caller adds to it what it writes."""
        place = (batch.topic, batch.partition)
        held = self._held.get(place)
        if held is None or held[0] != batch.fence:
            marks = {record.key() for record in read_all(self._servers, topics.SEEN, batch.partition)}
            held = self._held[place] = (batch.fence, marks)
        return held[1]

    def drop(self, batches: Iterable[Batch]) -> None:
        """Forget the sets of these partitions: they may hold marks that were never committed."""
        for batch in batches:
            self._held.pop((batch.topic, batch.partition), None)

    @staticmethod
    def mark(event_id: str) -> bytes:
        """The mark of an event."""
        return uuid.UUID(event_id).bytes

    @staticmethod
    def output(mark: bytes, partition: int) -> Output:
        """The record that makes a mark durable, in the partition of its subject."""
        return Output(topics.SEEN, mark, b"", partition=partition)
