"""Outputs as Kafka stores them: record batches (KIP-98), made of columns where there are many records.

The other way round from `hub.stream.fetched`, by the same trick: what Kafka writes is what Avro writes, so a
record is the Avro of its fields in their order, and a batch's body the Avro of those as texts, which puts each
one's length before it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from time import time

import numpy as np
import polars as pl
import pyarrow as pa
import pyruhvro
from aiokafka import codec
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from hub.events.heads import FEW
from hub.stream.records import Output, Outputs, Place

_LARGEST = 1_000_000
"""Bytes of a batch, before it is compressed: what brokers take by default. A larger record goes alone."""

_BEFORE_CRC = struct.Struct(">qiib")
"""Base offset, length of what follows, leader epoch, format."""
_FROM_CRC = struct.Struct(">hiqqqhii")
"""Attributes, last delta, first and last time, producer's id and epoch, first sequence number, count."""
_HEAD = _BEFORE_CRC.size + 4 + _FROM_CRC.size
_V2 = 2
_LZ4, _TRANSACTIONAL = 3, 16  # attributes

Partitions = Callable[[str], int]
"""How many a topic has."""


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """Records on their way to one partition; `body` as it is written, under these `attributes`."""

    place: Place
    count: int
    body: bytes
    attributes: int
    time: int

    @classmethod
    def of(cls, place: Place, count: int, body: bytes, time: int) -> RecordBatch:
        """Compressed, where that helps."""
        small = codec.lz4_encode(body, level=1)
        if len(small) < len(body):
            return cls(place, count, small, _LZ4, time)
        return cls(place, count, body, 0, time)

    def raw(self, producer: int, epoch: int, sequence: int) -> bytes:
        """With its head, as a part of the producer's transaction. Without a producer (-1) it is of none."""
        attributes = self.attributes | (_TRANSACTIONAL if producer >= 0 else 0)
        last = self.count - 1
        checked = (
            _FROM_CRC.pack(attributes, last, self.time, self.time, producer, epoch, sequence, self.count)
            + self.body
        )
        head = _BEFORE_CRC.pack(0, len(checked) + 9, -1, _V2)
        crc: int = calc_crc32c(checked)
        return head + crc.to_bytes(4, "big") + checked


def pack(outputs: Sequence[Output | Outputs], partitions: Partitions) -> list[RecordBatch]:
    """All `outputs`; what goes to one partition is in their order.

    Raises TypeError or ValueError for what Kafka has no way to write.
    """
    now = int(time() * 1000)
    batches: list[RecordBatch] = []
    for many, group in groupby(outputs, key=lambda output: isinstance(output, Outputs)):
        if many:
            for columns in group:
                assert isinstance(columns, Outputs)
                batches += _packed(columns, partitions, now)
        else:
            batches += _one_by_one(
                [output for output in group if isinstance(output, Output)], partitions, now
            )
    return batches


def _one_by_one(outputs: Sequence[Output], partitions: Partitions, now: int) -> Iterator[RecordBatch]:
    under_way: dict[Place, tuple[DefaultRecordBatchBuilder, int]] = {}
    hashes = by_key([output.key for output in outputs]).tolist()
    for output, hashed in zip(outputs, hashes, strict=True):
        chosen = output.partition
        place = output.topic, hashed % partitions(output.topic) if chosen is None else chosen
        builder, count = under_way.get(place) or _begun()
        fields = now, output.key, output.value, output.headers
        if builder.append(count, *fields) is None:  # it is full
            yield _ended(place, builder, count, now)
            builder, count = _begun()
            builder.append(count, *fields)
        under_way[place] = builder, count + 1
    for place, (builder, count) in under_way.items():
        yield _ended(place, builder, count, now)


def _begun() -> tuple[DefaultRecordBatchBuilder, int]:
    return DefaultRecordBatchBuilder(_V2, 0, 0, -1, -1, -1, _LARGEST), 0


def _ended(place: Place, builder: DefaultRecordBatchBuilder, count: int, now: int) -> RecordBatch:
    return RecordBatch.of(place, count, bytes(builder.build()[_HEAD:]), now)


def _packed(outputs: Outputs, partitions: Partitions, now: int) -> Iterator[RecordBatch]:
    headers = None if len(outputs) < FEW else _of_all(outputs.headers)
    if headers is None:
        yield from _one_by_one(outputs.each(), partitions, now)
        return
    names = list(headers)
    hashes = pl.Series("hash", by_key(outputs.keys.to_list()))
    topics = outputs.topics.unique()
    counts = pl.Series([partitions(topic) for topic in topics.to_list()], dtype=pl.UInt32)
    frame = pl.DataFrame(
        [
            outputs.topics.alias("topic"),
            hashes % outputs.topics.replace_strict(topics, counts, return_dtype=pl.UInt32),
            outputs.keys.alias("key"),
            outputs.values.alias("value"),
            *(texts.alias(f"value{at}") for at, texts in enumerate(headers.values())),
        ]
    )
    frame = frame.sort("topic", "hash", maintain_order=True)
    starts = _starts(frame, len(names))
    lengths = np.diff([*starts, frame.height])
    deltas = np.arange(frame.height, dtype=np.int32) - np.repeat(starts, lengths).astype(np.int32)
    body, ends = _body(frame, deltas, names)
    for start, length in zip(starts, lengths.tolist(), strict=True):
        place = frame["topic"][start], int(frame["hash"][start])
        yield RecordBatch.of(place, length, bytes(body[ends[start] : ends[start + length]]), now)


def _of_all(headers: Mapping[str, pl.Series]) -> Mapping[str, pl.Series] | None:
    """Those that there are, if all records have the same; None otherwise."""
    there = {name: texts for name, texts in headers.items() if (texts != "").any()}
    return None if any((texts == "").any() for texts in there.values()) else there


def _starts(frame: pl.DataFrame, headers: int) -> list[int]:
    """Where batches begin: with every partition, and where one would become too large."""
    of_text = [pl.col(f"value{at}").str.len_bytes() for at in range(headers)]
    sizes = pl.sum_horizontal(pl.col("key", "value").bin.size(), *of_text).cast(pl.Int64) + 64 + 24 * headers
    group = pl.struct("topic", "hash").rle_id()
    part = (pl.col("size").cum_sum().over("group") - pl.col("size")) // _LARGEST
    cut = (
        frame.lazy()
        .select(size=sizes, group=group)
        .select("group", part=part)
        .select(pl.struct("group", "part").rle_id().alias("batch"))
        .select(first=pl.col("batch") != pl.col("batch").shift(1))
        .collect()
    )
    return [0, *cut["first"].arg_true().to_list()]


def _body(frame: pl.DataFrame, deltas: np.ndarray, names: Sequence[str]) -> tuple[memoryview, list[int]]:
    """The rows as records, and after each of them, beginning with none, how many bytes there are."""
    count = frame.height

    def same(value: int, kind: pa.DataType) -> pa.Array:
        return pa.repeat(pa.scalar(value, kind), count)

    columns = [same(0, pa.int32()), same(0, pa.int64()), pa.array(deltas)]
    columns += [_as_text(frame["key"].to_arrow()), _as_text(frame["value"].to_arrow())]
    columns.append(same(len(names), pa.int32()))
    for at, name in enumerate(names):
        columns += [pa.repeat(name, count), frame[f"value{at}"].to_arrow().cast(pa.string())]
    fields = _fields(len(names))
    records = pa.RecordBatch.from_arrays(columns, [field for field, _ in fields])
    bare = pyruhvro.serialize_record_batch(records, _schema(fields), 1)[0]
    alone = (("record", "string"),)
    whole = pyruhvro.serialize_record_batch(
        pa.RecordBatch.from_arrays([_as_text(bare)], ["record"]), _schema(alone), 1
    )[0]
    _, ends, data = whole.buffers()
    found = np.frombuffer(ends, dtype=np.int32)[whole.offset : whole.offset + count + 1]
    return memoryview(data), found.tolist()


@lru_cache
def _fields(headers: int) -> tuple[tuple[str, str], ...]:
    """Of a record, by name and Avro type, after KIP-98."""
    return (
        *(("attributes", "int"), ("time", "long"), ("delta", "int")),
        *(("key", "string"), ("value", "string"), ("count", "int")),
        *((f"{part}{at}", "string") for at in range(headers) for part in ("name", "value")),
    )


@lru_cache
def _schema(fields: tuple[tuple[str, str], ...]) -> str:
    parts = [{"name": name, "type": kind} for name, kind in fields]
    return json.dumps({"type": "record", "name": "Record", "fields": parts})


def _as_text(column: pa.Array) -> pa.Array:
    """Bytes as pyruhvro takes them: it has no bytes, and never looks into a text."""
    plain = column.cast(pa.binary())
    return pa.Array.from_buffers(pa.string(), len(plain), plain.buffers(), offset=plain.offset)


_M, _SEED = np.uint32(0x5BD1E995), 0x9747B28C


def by_key(keys: Sequence[bytes]) -> np.ndarray:
    """Per key the number that decides its partition, as every producer of the hub does: Java's murmur2."""
    hashes = np.zeros(len(keys), dtype=np.uint32)
    lengths = np.fromiter(map(len, keys), dtype=np.int64, count=len(keys))
    for length in np.unique(lengths).tolist():
        of_length = np.flatnonzero(lengths == length)
        joined = b"".join([keys[at] for at in of_length.tolist()] if len(of_length) < len(keys) else keys)
        hashes[of_length] = _murmur2(np.frombuffer(joined, dtype=np.uint8).reshape(len(of_length), length))
    return hashes & np.uint32(0x7FFFFFFF)


def _murmur2(rows: np.ndarray) -> np.ndarray:
    """Of rows of bytes, all of one length."""
    count, length = rows.shape
    whole = length - length % 4
    words = np.ascontiguousarray(rows[:, :whole]).view("<u4")
    hashes = np.full(count, _SEED ^ length, dtype=np.uint32)
    for word in words.T:
        mixed = word * _M
        mixed ^= mixed >> np.uint32(24)
        mixed *= _M
        hashes *= _M
        hashes ^= mixed
    if whole < length:
        for at in range(length - 1, whole - 1, -1):
            hashes ^= rows[:, at].astype(np.uint32) << np.uint32(8 * (at - whole))
        hashes *= _M
    hashes ^= hashes >> np.uint32(13)
    hashes *= _M
    return hashes ^ (hashes >> np.uint32(15))
