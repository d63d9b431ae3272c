"""What was fetched, as Kafka stores it: record batches (KIP-98), read as columns, or record by record.

aiokafka makes some forty Python objects of every record, most of them for headers that are only passed on. A
stage that works on columns takes the bytes instead: a record's fields are a few variable-length numbers, and a
block of headers with the same names throughout is, but for its name, a row of Avro texts.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Any, overload

import numpy as np
import pyruhvro
from aiokafka import codec
from aiokafka.record.memory_records import MemoryRecords

from hub.events.kafka import Heads
from hub.stream.records import Read, Record

_V2 = 2  # the format of record batches since Kafka 0.11, and the only one that Kafka 4 knows
_MAGIC = 16  # where a batch says its format
_HEAD = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, CRC, attributes, last delta, two times, producer (3), count."""
_BEFORE_LENGTH = 12  # bytes that a batch's length leaves out
_CODECS = {1: codec.gzip_decode, 2: codec.snappy_decode, 3: codec.lz4_decode, 4: codec.zstd_decode}

_FEW = 64  # records; so many are read one by one in the time that columns take to set up

Numbers = Any  # of numpy, whole


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

    def records(self, topic: str, partition: int) -> list[Read]:
        """The records that are wanted, by aiokafka."""
        return [
            Read(topic, partition, one.offset, one.timestamp, one.key, one.value, one.headers)
            for one in self.batch
            if one.offset >= self.first
        ]

    def parts(self) -> tuple[list[int], list[bytes], list[bytes]]:
        """Offset, value and block of headers of each record that is wanted. Raises ValueError for old formats."""
        if self.raw[_MAGIC] != _V2:
            raise ValueError("a record batch of before Kafka 0.11")
        base, *_, attributes, _, _, _, _, _, _, count = _HEAD.unpack_from(self.raw)
        body = self.raw[_HEAD.size :]
        if attributes & 7:
            body = bytes(_CODECS[attributes & 7](body))
        offsets, values, blocks = _split(body, base, count)
        skipped = sum(offset < self.first for offset in offsets) if base < self.first else 0
        return offsets[skipped:], values[skipped:], blocks[skipped:]


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

    @cached_property
    def _records(self) -> list[Read]:
        return [record for chunk in self._chunks for record in chunk.records(self._topic, self._partition)]

    def __len__(self) -> int:
        return len(self._records) if "_records" in self.__dict__ else self._count

    @cached_property
    def _count(self) -> int:
        """Of a compacted batch, or one that is wanted in part, more than there are."""
        return sum(_HEAD.unpack_from(chunk.raw)[-1] for chunk in self._chunks)

    @overload
    def __getitem__(self, at: int) -> Record: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Record]: ...
    def __getitem__(self, at: int | slice) -> Record | Sequence[Record]:
        return self._records[at]

    def columns(self) -> Columns:
        """The records as columns."""
        if len(self) < _FEW:
            return _from_records(self._records)
        offsets, values, blocks = [], [], []
        for chunk in self._chunks:
            more_offsets, more_values, more_blocks = chunk.parts()
            offsets += more_offsets
            values += more_values
            blocks += more_blocks
        heads = _heads(blocks) if blocks else Heads(0, {})
        return _from_records(self._records) if heads is None else Columns(heads, values, offsets)


def columns_of(records: Sequence[Record]) -> Columns:
    """Any records as columns."""
    return records.columns() if isinstance(records, Fetched) else _from_records(records)


def _from_records(records: Sequence[Record]) -> Columns:
    heads = Heads.of([record.headers for record in records])
    return Columns(heads, [record.value or b"" for record in records], [record.offset for record in records])


def _split(body: bytes, base: int, count: int) -> tuple[list[int], list[bytes], list[bytes]]:
    """Offset, value and block of headers of each record of a batch's uncompressed `body`."""
    starts, ends, at = [], [], 0
    for _ in range(count):
        size, shift, digit = 0, 0, 128
        while digit > 127:
            digit = body[at]
            size |= (digit & 127) << shift
            shift += 7
            at += 1
        starts.append(at)
        at += size >> 1
        ends.append(at)
    every = np.frombuffer(body, np.uint8)
    place = np.array(starts) + 1  # after the attributes, which say nothing
    _, place = _numbers(every, place)  # time
    delta, place = _numbers(every, place)
    size, place = _numbers(every, place)
    size, place = _numbers(every, place + np.maximum(size, 0))  # past the key
    blocks = place + np.maximum(size, 0)
    values = [body[start:end] for start, end in zip(place.tolist(), blocks.tolist(), strict=True)]
    heads = [body[start:end] for start, end in zip(blocks.tolist(), ends, strict=True)]
    return (base + delta).tolist(), values, heads


def _numbers(every: Numbers, place: Numbers) -> tuple[Numbers, Numbers]:
    """The variable-length numbers (zigzag, as Avro's and Protobuf's) that begin at `place`, and what comes after."""
    digits = every[place].astype(np.int64)
    found, shift = digits & 127, 7
    more = digits > 127
    place = place + 1
    while more.any():
        digits = np.where(more, every[np.minimum(place, len(every) - 1)], 0).astype(np.int64)
        found |= (digits & 127) << shift
        place = place + more
        more = digits > 127
        shift += 7
    return (found >> 1) ^ -(found & 1), place


def _heads(blocks: Sequence[bytes]) -> Heads | None:
    """The headers in `blocks`; None where their names are not the same throughout, or where a value is no text."""
    count = blocks[0][0] >> 1
    if {block[0] for block in blocks} != {count << 1}:
        return None
    try:
        batch = pyruhvro.deserialize_array(blocks, _row(count))
        batch.validate(full=True)  # pyruhvro takes any bytes for text
    except ValueError:
        return None
    read = batch.columns[1:]
    columns = {}
    for names, texts in zip(read[::2], read[1::2], strict=True):
        distinct = names.unique()
        if len(distinct) > 1:
            return None
        columns[distinct[0].as_py()] = texts.to_pylist
    return Heads(len(blocks), columns)


@lru_cache(maxsize=64)
def _row(count: int) -> str:
    """A block of so many headers as an Avro record: the count, then name and value of each, all as Avro writes them."""
    fields = [{"name": "count", "type": "int"}]
    fields += [{"name": f"{part}{at}", "type": "string"} for at in range(count) for part in ("name", "value")]
    return json.dumps({"type": "record", "name": "Headers", "fields": fields})
