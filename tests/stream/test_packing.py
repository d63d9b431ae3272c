"""What is written in record batches of our own making is what other clients read, and lies where they would put it."""

from __future__ import annotations

from collections import defaultdict

import polars as pl
from aiokafka.record.default_records import DefaultRecordBatch
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka.partitioner.default import murmur2

from hub.stream.packing import RecordBatch, by_key, pack
from hub.stream.records import Output, Outputs, Place, singly

PARTITIONS = 3

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
keys = st.binary(max_size=40)


def read(batches: list[RecordBatch]) -> dict[Place, list[Output]]:
    """What another client makes of them; each batch must be sound."""
    found: dict[Place, list[Output]] = defaultdict(list)
    for batch in batches:
        stored = DefaultRecordBatch(batch.raw(7, 2, 40))
        assert stored.validate_crc()
        assert (stored.producer_id, stored.producer_epoch, stored.base_sequence) == (7, 2, 40)
        assert stored.is_transactional
        records = list(stored)
        assert [record.offset for record in records] == list(range(batch.count))
        assert stored.last_offset_delta == batch.count - 1
        for record in records:
            headers = [(name, value or b"") for name, value in record.headers]
            found[batch.place].append(
                Output(batch.place[0], record.key or b"", record.value, headers, batch.place[1])
            )
    return found


def wanted(outputs: list[Output]) -> dict[Place, list[Output]]:
    found: dict[Place, list[Output]] = defaultdict(list)
    for output in outputs:
        partition = (
            (murmur2(output.key) & 0x7FFFFFFF) % PARTITIONS if output.partition is None else output.partition
        )
        found[output.topic, partition].append(
            Output(output.topic, output.key, output.value, output.headers, partition)
        )
    return found


@settings(max_examples=200)
@given(st.lists(keys, max_size=20))
def test_a_key_decides_its_partition_as_in_every_other_client(some: list[bytes]) -> None:
    assert by_key(some).tolist() == [murmur2(key) & 0x7FFFFFFF for key in some]


outputs = st.builds(
    Output,
    topic=st.sampled_from(["inbox.one", "inbox.two"]),
    key=keys,
    value=st.none() | st.binary(max_size=50),
    headers=st.lists(st.tuples(texts, st.binary(max_size=20)), max_size=3),
    partition=st.none() | st.integers(0, PARTITIONS - 1),
)


@settings(max_examples=100)
@given(st.lists(outputs, max_size=30))
def test_records_are_read_as_they_were_written_in_their_order(some: list[Output]) -> None:
    assert read(pack(some, lambda _: PARTITIONS)) == wanted(some)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_many_records_in_columns_are_what_they_are_one_by_one(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 200))
    seeds = data.draw(st.lists(st.integers(0, 2**31), min_size=1, max_size=9))
    name = st.sampled_from(["ce_id", "ce_type", "ce_party", "content-type"])
    names = data.draw(st.lists(name, min_size=1, unique=True))
    column = st.lists(texts, min_size=1, max_size=5)

    def texts_of(given: list[str]) -> pl.Series:
        return pl.Series([given[at % len(given)] for at in range(count)], dtype=pl.String)

    some = Outputs(
        topics=texts_of(["inbox.one", "inbox.two"]),
        keys=pl.Series([b"key-%d" % (at * seeds[at % len(seeds)]) for at in range(count)], dtype=pl.Binary),
        values=pl.Series([bytes([at % 256]) * (at % 50) for at in range(count)], dtype=pl.Binary),
        headers={name: texts_of(data.draw(column)) for name in names},
    )
    assert len(some) == count
    alone = Output("inbox.one", b"key-0", b"last")
    found = read(pack([alone, some, alone], lambda _: PARTITIONS))
    assert found == wanted(singly([alone, some, alone]))


def test_a_batch_is_no_larger_than_brokers_take_by_default() -> None:
    count, value = 300, bytes(range(256)) * 40
    headers = {"ce_id": pl.Series([str(at) for at in range(count)])}
    some = Outputs(
        topics=pl.Series(["inbox.one"]).new_from_index(0, count),
        keys=pl.Series([b"same"] * count, dtype=pl.Binary),
        values=pl.Series([value] * count, dtype=pl.Binary),
        headers=headers,
    )
    for form in ([some], some.each()):
        batches = pack(form, lambda _: PARTITIONS)
        assert len(batches) > count * len(value) // 1_000_000
        assert max(batch.count for batch in batches) * len(value) <= 1_000_000
        assert read(batches) == wanted(some.each())
