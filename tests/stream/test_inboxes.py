"""Reading inboxes beside the group, against a real Kafka: nothing between two offsets is missed, markers and all."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from hub.stream.inboxes import KafkaInboxes
from hub.stream.topics import Topic, ensure

TOPIC = "inbox.reading"


@pytest.fixture(scope="module")
def written(kafka: str) -> dict[int, list[tuple[int, float]]]:
    """Offset and time of what is committed, per partition; between are markers and what was aborted."""
    ensure(kafka, [Topic(TOPIC, 2, 1)])
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": "reading", "linger.ms": 0})
    producer.init_transactions(30)
    there: dict[int, list[tuple[int, float]]] = {0: [], 1: []}
    draw = random.Random(7)
    for number in range(60):
        offsets: list[tuple[int, int, float]] = []
        producer.begin_transaction()
        for _ in range(draw.randint(1, 40)):
            producer.produce(
                TOPIC,
                b"value",
                b"p-1",
                draw.randrange(2),
                headers=[("ce_type", b"a.b.happened"), ("ce_subject", b"p-1")],
                on_delivery=lambda _, m, o=offsets: o.append((m.partition(), m.offset(), m.timestamp()[1])),
            )
        producer.flush()
        if number % 5 == 4:
            producer.abort_transaction()
            continue
        producer.commit_transaction()
        for partition, offset, at in offsets:
            there[partition].append((offset, at / 1000))
    return there


@pytest.fixture
def inboxes(kafka: str) -> Iterator[KafkaInboxes]:
    """A reader of its own."""
    reading = KafkaInboxes(kafka)
    yield reading
    reading.close()


async def test_stretches_that_follow_each_other_hold_every_record_once(
    inboxes: KafkaInboxes, written: dict[int, list[tuple[int, float]]]
) -> None:
    for partition, there in written.items():
        offsets = [offset for offset, _ in there]
        start, end, found = 0, offsets[-1] + 1, []
        while start < end:
            stretch = await inboxes.stretch((TOPIC, partition), start, end)
            assert stretch is not None
            assert (stretch.start, stretch.end > start) == (start, True)
            found += stretch.offsets
            assert [stretch.time(row) for row in range(len(stretch.offsets))] == [
                at for offset, at in there if stretch.start <= offset < stretch.end
            ]
            start = stretch.end
        assert found == offsets


async def test_a_stretch_from_anywhere_is_whole_up_to_where_it_says_it_ends(
    inboxes: KafkaInboxes, written: dict[int, list[tuple[int, float]]]
) -> None:
    draw = random.Random(1)
    for _ in range(60):
        partition = draw.randrange(2)
        offsets = [offset for offset, _ in written[partition]]
        start = draw.randrange(offsets[-1])
        end = draw.randint(start + 1, offsets[-1] + 2)  # also at the marker behind the last
        stretch = await inboxes.stretch((TOPIC, partition), start, end)
        assert stretch is not None
        assert start < stretch.end <= end
        assert list(stretch.offsets) == [one for one in offsets if start <= one < stretch.end]
        assert stretch.end == end or len(stretch.offsets) == 256
        row = stretch.row(offsets[-1])
        if row < len(stretch.offsets):
            assert (stretch.message(row).offset, stretch.message(row).subject) == (offsets[-1], "p-1")


async def test_several_readers_at_once_do_not_disturb_each_other(
    inboxes: KafkaInboxes, written: dict[int, list[tuple[int, float]]]
) -> None:
    offsets = [offset for offset, _ in written[0]]
    asked = [inboxes.stretch((TOPIC, 0), start, offsets[-1] + 1) for start in range(0, 200, 10)]
    for start, stretch in zip(range(0, 200, 10), await asyncio.gather(*asked), strict=True):
        assert stretch is not None
        assert list(stretch.offsets) == [one for one in offsets if start <= one < stretch.end]


async def test_the_first_record_since_a_time_is_found_and_after_all_of_them_what_comes_next(
    inboxes: KafkaInboxes, written: dict[int, list[tuple[int, float]]]
) -> None:
    there = written[0]
    for _, at in there[:: len(there) // 5]:
        first = await inboxes.first_since((TOPIC, 0), at)
        assert first is not None
        found, wanted = (
            [one for one, _ in there if one >= first],
            [one for one, when in there if when >= at],
        )
        # It may be that of what was aborted, or of a marker, which Kafka may write later than the next transaction's
        # records were made: these are then found as well, and never too few.
        assert found[-len(wanted) :] == wanted
        assert len(found) < len(wanted) + 40
    after = await inboxes.first_since((TOPIC, 0), time.time() + 60)
    assert after is not None
    assert after > there[-1][0]
