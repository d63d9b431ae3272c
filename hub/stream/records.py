"""What stages read and write: records in, outputs out. Plain values, no Kafka client behind them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

Headers = list[tuple[str, bytes]]


class Record(Protocol):
    """One record as read from Kafka, `timestamp` in milliseconds; `Read` has this shape, and aiokafka's own record."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


class Read(msgspec.Struct, frozen=True, gc=False):
    """A record as the worker reads it: made for every record, so cheaply, and never part of a cycle."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


class Output(msgspec.Struct, frozen=True, gc=False):
    """One record to write. Without `partition`, the key decides; no `value` takes the key away (compaction)."""

    topic: str
    key: bytes
    value: bytes | None
    headers: Headers = msgspec.field(default_factory=list)
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Fence:
    """Who we were in the consumer group when a batch was fetched.

    Taken at the fetch and not at the commit: with the membership of a later generation, a batch of a
    partition that has moved to another worker meanwhile would be accepted.
    """

    group: str
    generation: int
    member_id: str


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one partition and one fetch, in order."""

    topic: str
    partition: int
    records: Sequence[Record]
    fence: Fence

    @property
    def next_offset(self) -> int:
        """Where reading goes on once the batch is committed."""
        known = getattr(self.records, "next_offset", None)
        return self.records[-1].offset + 1 if known is None else int(known)


Positions = dict[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Standing:
    """A worker in its group: who it is, whether its partitions are settled, and where each of them stands.

    `assigned` is where it stood when it was assigned, `handed` where the batches end that agents were given, and
    `fetched` where the client reads next.
    """

    fence: Fence
    settled: bool
    assigned: Positions
    handed: Positions
    fetched: Positions


def positions_of(batches: Iterable[Batch]) -> Positions:
    """Per topic and partition, the offset to commit after `batches`."""
    moved: Positions = {}
    for batch in batches:
        place = (batch.topic, batch.partition)
        moved[place] = max(moved.get(place, 0), batch.next_offset)
    return moved
