"""What was fetched, as Kafka stores it: record batches (KIP-98), read as columns, or record by record.

aiokafka makes some forty Python objects of every record, most of them for headers that are only passed on. A
stage that works on columns takes the bytes instead: what Kafka writes is what Avro writes (zigzag numbers of
variable length, texts behind their length), so a record batch whose records have the same headers throughout is,
but for its name, an Avro array of records.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from itertools import accumulate
from typing import Any, overload

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro
from aiokafka import codec
from aiokafka.record.memory_records import MemoryRecords

from hub.events.heads import FEW, Heads
from hub.stream.records import Read, Record

_V2 = 2  # the format of record batches since Kafka 0.11, and the only one that Kafka 4 knows
_MAGIC = 16  # where a batch says its format
_HEAD = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, CRC, attributes, last delta, two times, producer (3), count."""
_BEFORE_LENGTH = 12  # bytes that a batch's length leaves out
_CODECS = {1: codec.gzip_decode, 2: codec.snappy_decode, 3: codec.lz4_decode, 4: codec.zstd_decode}


class Columns:
    """Records as columns: item n of each is of record n."""

    __slots__ = ("heads", "offsets", "values")

    def __init__(self, heads: Heads, values: Sequence[bytes], offsets: Sequence[int]) -> None:
        self.heads = heads
        self.values = values
        self.offsets = offsets


class Chunk:
    """One record batch. `offset` is its last, as aiokafka's walk asks; `first` the first that is wanted."""

    def __init__(self, batch: Any, raw: bytes) -> None:
        self.batch = batch
        self.raw = raw
        self.offset = batch.next_offset - 1
        self.first = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.batch, name)  # what else aiokafka's walk asks of a batch

    def __iter__(self) -> Iterator[Chunk]:
        yield self

    @property
    def count(self) -> int:
        """Of its records; of those that are wanted no more than that."""
        return int(_HEAD.unpack_from(self.raw)[-1])

    @property
    def time(self) -> float:
        """When its first record was written, epoch seconds, as its writer has it."""
        return float(_HEAD.unpack_from(self.raw)[7]) / 1000

    def records(self, topic: str, partition: int) -> list[Read]:
        """The records that are wanted, by aiokafka."""
        return [
            Read(topic, partition, one.offset, one.timestamp, one.key, one.value, one.headers)
            for one in self.batch
            if one.offset >= self.first
        ]

    def plain(self) -> tuple[int, int, bytes] | None:
        """Base offset, count and uncompressed bytes of its records; None for a format of long ago."""
        if self.raw[_MAGIC] != _V2:
            return None
        base, *_, attributes, _, _, _, _, _, _, count = _HEAD.unpack_from(self.raw)
        body = self.raw[_HEAD.size :]
        return base, count, bytes(_CODECS[attributes & 7](body)) if attributes & 7 else body


class Chunks:
    """aiokafka's `MemoryRecords`, but for what it yields: a `Chunk` for every record batch that has records."""

    def __init__(self, fetched: bytes) -> None:
        self._fetched = fetched
        self._inner = MemoryRecords(fetched)
        self._at = 0

    def has_next(self) -> bool:
        """Whether there is another."""
        return bool(self._inner.has_next())

    def size_in_bytes(self) -> int:
        """Of all."""
        return int(self._inner.size_in_bytes())

    def next_batch(self) -> Any:
        """The next, or None. Those that mark a transaction's end come as they are."""
        start = self._at
        batch = self._inner.next_batch()
        if batch is None:
            return None
        (length,) = struct.unpack_from(">i", self._fetched, start + 8)
        self._at = start + _BEFORE_LENGTH + length
        return batch if batch.is_control_batch else Chunk(batch, self._fetched[start : self._at])


class Fetched(Sequence[Record]):
    """The records of one partition and one fetch; made one by one only when somebody looks at one."""

    def __init__(self, topic: str, partition: int, chunks: Sequence[Chunk]) -> None:
        self._topic, self._partition, self._chunks = topic, partition, chunks
        self.size = sum(len(chunk.raw) for chunk in chunks)

    @property
    def time(self) -> float:
        """When the first of them was written, or one before it; epoch seconds, as its writer has it."""
        return self._chunks[0].time

    @cached_property
    def _records(self) -> list[Read]:
        return [record for chunk in self._chunks for record in chunk.records(self._topic, self._partition)]

    def __len__(self) -> int:
        return len(self._records) if "_records" in self.__dict__ else self._count

    @cached_property
    def _count(self) -> int:
        """Of a compacted batch, or one that is wanted in part, more than there are."""
        return sum(chunk.count for chunk in self._chunks)

    @overload
    def __getitem__(self, at: int) -> Record: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Record]: ...
    def __getitem__(self, at: int | slice) -> Record | Sequence[Record]:
        return self._records[at]

    def pieces(self, most: int) -> Iterator[tuple[Fetched, int]]:
        """Itself in record batches: in order, each piece of no more than `most` records if it has more than one batch,
        with the offset that comes after it."""
        under_way, count = list[Chunk](), 0
        for chunk in self._chunks:
            if under_way and count + chunk.count > most:
                yield self._of(under_way), under_way[-1].offset + 1
                under_way, count = [], 0
            under_way.append(chunk)
            count += chunk.count
        yield self._of(under_way), under_way[-1].offset + 1

    def _of(self, chunks: Sequence[Chunk]) -> Fetched:
        return Fetched(self._topic, self._partition, chunks)

    def columns(self) -> Columns:
        """The records as columns."""
        if len(self) < FEW:
            return _from_records(self._records)
        if (together := _together([self])) is not None:
            return together[0]
        alone = [_together([self._of([chunk])]) for chunk in self._chunks]
        found = [one[0] for one in alone if one is not None]
        return _joined(found) if len(found) == len(alone) else _from_records(self._records)


def columns_of(several: Sequence[Sequence[Record]]) -> tuple[Columns, list[int]]:
    """The records of several batches as columns, one batch after the other, and the row at which each begins."""
    if sum(map(len, several)) < FEW:
        records = [list(batch) for batch in several]
        columns = _from_records([record for batch in records for record in batch])
        return columns, _starts(list(map(len, records)))
    fetched = [batch for batch in several if isinstance(batch, Fetched)]
    if len(fetched) == len(several) and (together := _together(fetched)) is not None:
        return together
    each = [batch.columns() if isinstance(batch, Fetched) else _from_records(batch) for batch in several]
    return _joined(each), _starts([len(columns.values) for columns in each])


def _together(several: Sequence[Fetched]) -> tuple[Columns, list[int]] | None:
    """As `columns_of`, all record batches read as one; None where they are no plain rows with the same headers.

    Producers who write little at once make many record batches, each of which would cost some 0.2 ms.
    """
    chunks = [chunk for batch in several for chunk in batch._chunks]
    plain = [chunk.plain() for chunk in chunks]
    found = [one for one in plain if one is not None]
    if len(found) < len(plain):
        return None
    bases, counts, bodies = zip(*found, strict=True)
    rows = _read(b"".join(bodies), sum(counts))
    if rows is None:
        return None
    offsets = rows.deltas + np.repeat(np.array(bases, dtype=np.int64), counts)
    wanted = offsets >= np.repeat(np.array([chunk.first for chunk in chunks], dtype=np.int64), counts)
    if not wanted.all():
        rows, offsets = rows.where(wanted), offsets[wanted]
    ends = np.concatenate(([0], np.cumsum(wanted)))[np.cumsum((0, *counts))]
    chunks_before = accumulate((len(batch._chunks) for batch in several[:-1]), initial=0)
    heads = {name: partial(_texts, texts) for name, texts in rows.heads.items()}
    columns = Columns(Heads(len(offsets), heads), rows.values.to_pylist(), offsets.tolist())
    return columns, [int(ends[chunk]) for chunk in chunks_before]


def _starts(lengths: Sequence[int]) -> list[int]:
    return list(accumulate(lengths[:-1], initial=0))


def _joined(several: Sequence[Columns]) -> Columns:
    if len(several) == 1:
        return several[0]
    values = [value for columns in several for value in columns.values]
    offsets = [offset for columns in several for offset in columns.offsets]
    return Columns(Heads.joined([columns.heads for columns in several]), values, offsets)


def _from_records(records: Sequence[Record]) -> Columns:
    heads = Heads.of([record.headers for record in records])
    return Columns(heads, [record.value or b"" for record in records], [record.offset for record in records])


@dataclass(frozen=True, slots=True)
class _Rows:
    """Records as Avro reads them: how far each is from its batch's base, its value, and its headers by name."""

    deltas: np.ndarray
    values: pa.Array
    heads: Mapping[str, pa.Array]

    def where(self, wanted: np.ndarray) -> _Rows:
        """Some of them."""
        mask = pa.array(wanted)
        heads = {name: texts.filter(mask) for name, texts in self.heads.items()}
        return _Rows(self.deltas[wanted], self.values.filter(mask), heads)


def _read(body: bytes, count: int) -> _Rows | None:
    """The `count` records of uncompressed batches; None unless all have the same headers, of texts."""
    headers = _headers_of_first(body) if count else 0
    try:
        batch = pyruhvro.deserialize_array([_zigzag(count) + body + b"\0"], _array(headers))
    except ValueError:  # a key or a header's value that is null, for one
        return None
    rows = batch.column(0).values
    # A record with more or fewer headers would be read askew from its end on; its own count is still read right.
    if not pc.all(pc.equal(rows.field("count"), headers)).as_py():
        return None
    heads = {}
    for at in range(headers):
        names, texts = rows.field(f"name{at}"), rows.field(f"value{at}")
        distinct = names.unique()
        if len(distinct) > 1:
            return None
        try:
            texts.validate(full=True)  # pyruhvro takes any bytes for text
            heads[distinct[0].as_py()] = texts
        except (pa.ArrowInvalid, UnicodeDecodeError):
            return None
    values = rows.field("value")
    raw = pa.Array.from_buffers(pa.binary(), len(values), values.buffers(), offset=values.offset)
    return _Rows(rows.field("delta").to_numpy(), raw, heads)


def _headers_of_first(body: bytes) -> int:
    """How many headers the first record has."""
    at = 0
    _, at = _number(body, at)  # its length
    at += 1  # its attributes
    for _ in ("time", "offset"):
        _, at = _number(body, at)
    for _ in ("key", "value"):
        length, at = _number(body, at)
        at += max(length, 0)
    return _number(body, at)[0]


def _number(body: bytes, at: int) -> tuple[int, int]:
    """The zigzag number of variable length at a place, and the place after it."""
    found, shift, digit = 0, 0, 128
    while digit > 127:
        digit = body[at]
        found |= (digit & 127) << shift
        shift += 7
        at += 1
    return (found >> 1) ^ -(found & 1), at


def _zigzag(number: int) -> bytes:
    """A positive number as Avro writes it."""
    number <<= 1
    digits = bytearray()
    while number > 127:
        digits.append(number & 127 | 128)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _texts(column: pa.Array) -> pl.Series:
    return pl.Series(column)


@lru_cache(maxsize=64)
def _array(headers: int) -> str:
    """The body of a batch whose records have so many headers, as an Avro array."""
    numbers = {"length": "int", "attributes": "int", "time": "long", "delta": "int"}
    fields = [{"name": name, "type": kind} for name, kind in numbers.items()]
    fields += [{"name": name, "type": "string"} for name in ("key", "value")]
    fields += [{"name": "count", "type": "int"}]
    fields += [
        {"name": f"{part}{at}", "type": "string"} for at in range(headers) for part in ("name", "value")
    ]
    record = {"type": "record", "name": "Record", "fields": fields}
    batch = {"type": "array", "items": record}
    return json.dumps({"type": "record", "name": "Batch", "fields": [{"name": "records", "type": batch}]})
