"""What stages read and write: records in, outputs out. Plain values, no Kafka client behind them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec
import polars as pl

from hub.events.heads import one_by_one

Headers = list[tuple[str, bytes]]
Place = tuple[str, int]
"""A topic and a partition of it."""

MAX_BYTES = 2 << 20
"""Of the largest record that is written, headers included: twice the largest body, event or file item."""

PORTION_BYTES = 16 << 20
"""Of what one transaction lands of all that a source has, roughly: far from what takes as long as a transaction may."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """Records to write, as columns: item n of each is of record n.

    `topics` and the `headers`, one at least and in their order, are texts, an empty one being none; `keys` and
    `values` are bytes.
    """

    topics: pl.Series
    keys: pl.Series
    values: pl.Series
    headers: Mapping[str, pl.Series]

    def __len__(self) -> int:
        return len(self.keys)

    def each(self) -> list[Output]:
        """One by one."""
        columns = (self.topics.to_list(), self.keys.to_list(), self.values.to_list())
        return [Output(*row) for row in zip(*columns, one_by_one(self.headers), strict=True)]


def singly(outputs: Iterable[Output | Outputs]) -> list[Output]:
    """Records to write, one by one, in their order."""
    return [one for each in outputs for one in (each.each() if isinstance(each, Outputs) else (each,))]


@dataclass(frozen=True, slots=True)
class Fence:
    """Who we were in the consumer group when a batch was fetched.

    Taken at the fetch and not at the commit: with the membership of a later generation, a batch of a
    partition that has moved to another worker meanwhile would be accepted.
    """

    group: str
    generation: int
    member_id: str


#: The fence of what no member of a group has read. Nothing is committed under it.
NOBODY = Fence("", -1, "")


@dataclass(frozen=True, slots=True)
class Batch:
    """The records of one partition and one fetch, or a piece of them, in order; none where only markers were read.

    `number` counts the fetches of a partition under one fence, from 0, and there are `more` pieces of this one, or
    not. `reached` is where reading stands after it, past markers and aborted records behind the last one of it;
    `lost` are the offsets before it that Kafka deleted before anybody read them.
    """

    topic: str
    partition: int
    records: Sequence[Record]
    fence: Fence
    number: int = 0
    reached: int = -1
    lost: range = range(0)
    more: bool = False

    @property
    def place(self) -> Place:
        """Topic and partition."""
        return self.topic, self.partition

    @property
    def next_offset(self) -> int:
        """Where reading goes on once the batch is committed."""
        return self.records[-1].offset + 1 if self.reached < 0 else self.reached

    @property
    def time(self) -> float:
        """When its first record was written, epoch seconds; it has one."""
        known = getattr(self.records, "time", None)
        return self.records[0].timestamp / 1000 if known is None else float(known)

    @property
    def size(self) -> int:
        """Of its records, roughly and as they were fetched, bytes."""
        known = getattr(self.records, "size", None)
        return sum(len(record.value or b"") for record in self.records) if known is None else int(known)

    def pieces(self, most: int) -> list[Batch]:
        """In place of this one: itself, or of what was fetched and is too much several, of `most` records or so."""
        cut = getattr(self.records, "pieces", None)
        if cut is None or len(self.records) <= most:
            return [self]
        found = [
            replace(self, records=some, reached=end, lost=range(0), more=True) for some, end in cut(most)
        ]
        found[0] = replace(found[0], lost=self.lost)
        found[-1] = replace(found[-1], reached=self.reached, more=False)
        return found

    def halves(self) -> tuple[Batch, Batch]:
        """Two batches in place of this one, which has more than one record."""
        middle = len(self.records) // 2
        first, second = self.records[:middle], self.records[middle:]
        return replace(self, records=first, reached=-1), replace(self, records=second, lost=range(0))


Positions = dict[Place, int]


def positions_of(batches: Iterable[Batch]) -> Positions:
    """Per topic and partition, the offset to commit after `batches`, which are in order."""
    moved: Positions = {}
    for batch in batches:
        moved[batch.place] = batch.next_offset
    return moved
