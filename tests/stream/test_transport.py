"""Batches through Faust and back into Kafka, each record once, whatever Kafka, groups and logs do to us meanwhile."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import ResourceType

from hub.stream import pace
from hub.stream.broker.embedded import EmbeddedBroker
from hub.stream.reading import read_all
from hub.stream.records import Record
from tests.stream.at_work import alter
from tests.stream.copying import Pair, Running, copying, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """One that these tests may stop and freeze."""
    with EmbeddedBroker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


def numbers(start: int, stop: int) -> list[bytes]:
    return [b"%d" % number for number in range(start, stop)]


def same(record: Record) -> bytes:
    return record.value or b""


class HeldUp:
    """`same`, which tells when it has begun, and then waits until it may go on."""

    def __init__(self) -> None:
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, record: Record) -> bytes:
        self.begun.set()
        assert self.go_on.wait(30)
        return same(record)


# -- the group ---------------------------------------------------------------------------------------------------


async def test_workers_that_come_and_go_lose_and_repeat_nothing(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    pair = Pair(broker.address, 3)
    feeding = asyncio.gather(
        *(asyncio.to_thread(pair.feed, numbers(0, 6_000), part) for part in pair.partitions)
    )
    copied = lambda: sum(len(pair.copied(part)) for part in pair.partitions)  # noqa: E731
    async with copying(pair, tmp_path) as first:
        await until(lambda: copied() > 500, running=[first])
        async with copying(pair, tmp_path) as second:
            await until(lambda: copied() > 3_000, running=[first, second])
            async with copying(pair, tmp_path) as third:
                await until(lambda: copied() > 6_000, running=[first, second, third])
        await until(lambda: copied() > 9_000, running=[first])
    await feeding
    async with copying(pair, tmp_path) as last:
        await until(lambda: pair.lag() == 0, running=[last])
    for part in pair.partitions:
        assert pair.copied(part) == numbers(0, 6_000)


async def test_what_was_under_way_when_its_partition_moved_is_refused_and_done_again(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    pair = Pair(broker.address, 2)
    for part in pair.partitions:
        pair.feed(numbers(0, 500), part)
    work = HeldUp()
    async with copying(pair, tmp_path, work) as first:
        await asyncio.to_thread(work.begun.wait, 30)
        async with copying(pair, tmp_path) as second:  # so the first has a new generation, and the old batch
            await until(lambda: first.begun == 2, running=[first, second])
            work.go_on.set()
            await until(lambda: pair.lag() == 0, running=[first, second])
    for part in pair.partitions:
        assert pair.copied(part) == numbers(0, 500)


async def test_a_member_that_joins_again_for_nothing_does_so_as_another(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """A follower whose metadata changed is given its old generation, under which its old batches still commit."""
    pair = Pair(broker.address, 2)
    async with copying(pair, tmp_path) as first, copying(pair, tmp_path) as second:
        await until(lambda: first.begun == 2, running=[first, second])
        feeding = asyncio.gather(
            *(asyncio.to_thread(pair.feed, numbers(0, 5_000), part) for part in pair.partitions)
        )
        await until(lambda: len(pair.copied(0)) + len(pair.copied(1)) > 500, running=[first, second])
        for one in (first, second):
            standing = one.thread.standing
            # The one that joined before has moved the whole group, which may still be on its way.
            await until(lambda standing=standing: standing.fence is not None, running=[first, second])
            before = standing.fence
            one.thread.thread_loop.call_soon_threadsafe(
                one.thread._ensure_consumer()._coordinator.request_rejoin
            )
            await until(
                lambda standing=standing, before=before: standing.fence not in {None, before},
                running=[first, second],
            )
        await feeding
        await until(lambda: pair.lag() == 0, running=[first, second])
    for part in pair.partitions:
        assert pair.copied(part) == numbers(0, 5_000)


async def test_a_spare_worker_that_had_nothing_to_read_for_a_day_takes_over_when_the_other_goes(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    pair = Pair(broker.address, 1)
    async with copying(pair, tmp_path) as first, copying(pair, tmp_path) as second:
        await until(lambda: first.begun == 2, running=[first, second])
        spare, busy = sorted((first, second), key=lambda one: len(one.app.consumer.assignment()))
        assert not spare.app.consumer.assignment()
        spare.thread._ensure_consumer()._subscription._last_fetch_ended -= 86_400
        await asyncio.to_thread(busy.app.consumer.leave)
        pair.feed(numbers(0, 100))
        await until(lambda: pair.lag() == 0, running=[spare])
    assert pair.copied() == numbers(0, 100)


async def test_a_worker_that_takes_its_time_between_two_fetches_stops_at_once(
    broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "GATHER_S", 60.0)
    pair = Pair(broker.address, 1)
    async with copying(pair, tmp_path) as worker:
        due = worker.thread._ensure_consumer()._fetcher._pace._due
        # The last that was asked for at once is due now, and the one after it, for which a fetch waits, in a minute.
        await until(lambda: max(due.values(), default=0.0) > monotonic() + 90, running=[worker])
        stopping = asyncio.create_task(worker.app.stop())
        done, _ = await asyncio.wait({stopping}, timeout=5)
        assert done


async def test_what_comes_while_a_few_records_are_worked_on_waits_in_kafka_and_becomes_one_turn(
    broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "GATHER_S", 0.001)
    monkeypatch.setattr(pace, "_PATIENCE_S", 60.0)
    pair = Pair(broker.address, 1)
    work = HeldUp()
    async with copying(pair, tmp_path, work) as worker:
        pair.feed([b"0"])
        assert await asyncio.to_thread(work.begun.wait, 30)
        for number in range(1, 50):
            await asyncio.to_thread(pair.feed, [b"%d" % number])
        work.go_on.set()
        await until(lambda: pair.lag() == 0, running=[worker])
        # One more was asked for at once, before it was known that there is work.
        assert max(batch.number for batch in worker.stage.taken) <= 2
    assert pair.copied() == numbers(0, 50)


async def test_what_is_fetched_before_a_pause_is_not_lost_by_it(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    pair = Pair(broker.address, 2)
    for part in pair.partitions:
        pair.feed(numbers(0, 3_000), part)
    async with copying(pair, tmp_path) as worker:
        first = next(tp for tp in worker.app.consumer.assignment() if tp.partition == 0)
        for _ in range(20):  # in the middle of whatever is on the way
            worker.app.consumer.pause_partitions({first})
            await asyncio.sleep(0)
            worker.app.consumer.resume_partitions({first})
            await asyncio.sleep(0.005)
        worker.app.consumer.pause_partitions({first})
        pair.feed(numbers(3_000, 4_000), 1)
        await until(lambda: len(pair.copied(1)) == 4_000, running=[worker])
        pair.feed(numbers(3_000, 4_000), 0)
        worker.app.consumer.resume_partitions({first})
        await until(lambda: pair.lag() == 0, running=[worker])
    for part in pair.partitions:
        assert pair.copied(part) == numbers(0, 4_000)


# -- logs --------------------------------------------------------------------------------------------------------


async def test_nothing_aborted_is_processed_and_offsets_pass_the_markers(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    pair = Pair(broker.address, 1)
    producer = Producer(
        {"bootstrap.servers": broker.address, "transactional.id": pair.source, "linger.ms": 0}
    )
    producer.init_transactions(30)

    def transaction(values: list[bytes], commits: bool) -> None:
        producer.begin_transaction()
        for value in values:
            producer.produce(pair.source, value, partition=0)
        producer.flush(30)
        (producer.commit_transaction if commits else producer.abort_transaction)(30)

    transaction([b"aborted"] * 5, commits=False)
    transaction(numbers(0, 100), commits=True)
    async with copying(pair, tmp_path) as worker:
        await until(lambda: len(pair.copied()) == 100, running=[worker])
        for at in range(100, 200, 20):
            transaction([b"aborted"] * 3, commits=False)
            transaction(numbers(at, at + 20), commits=True)
            pair.feed([b"between"])
        transaction([b"aborted"] * 5, commits=False)
        await until(lambda: pair.lag() == 0, running=[worker])
        assert all(batch.records for batch in worker.stage.taken)
    copied = pair.copied()
    assert [value for value in copied if value != b"between"] == numbers(0, 200)
    assert len(copied) == 205


async def test_holes_that_compaction_left_are_no_gaps(broker: EmbeddedBroker, tmp_path: Path) -> None:
    compacting = {
        "cleanup.policy": "compact",
        "segment.ms": "100",
        "min.cleanable.dirty.ratio": "0.01",
        "delete.retention.ms": "0",
    }
    pair = Pair(broker.address, 1, source=compacting)
    alter(broker.address, "1", {"log.cleaner.backoff.ms": "50"}, ResourceType.BROKER)
    # Every second record is overwritten by the next such, the last of them in a later segment.
    pair.feed(numbers(0, 300), key=lambda value: b"same" if int(value) % 2 else value)
    left = [*numbers(0, 300)[::2], b"299"]

    def kept() -> list[bytes]:
        return [value for value in _log(broker.address, pair.source) if value != b"last"]

    def compacted() -> bool:
        pair.feed([b"last"], key=lambda _: b"last")  # a segment is cleaned only where there is a newer
        return kept() == left

    await until(compacted)
    async with copying(pair, tmp_path) as worker:
        await until(lambda: pair.lag() == 0, running=[worker])
    assert [value for value in pair.copied() if value != b"last"] == left


async def test_a_fresh_group_begins_where_the_log_begins(broker: EmbeddedBroker, tmp_path: Path) -> None:
    pair = Pair(broker.address, 1)
    pair.feed(numbers(0, 100))
    _delete_before(pair, 40)
    async with copying(pair, tmp_path) as worker:
        await until(lambda: pair.lag() == 0, running=[worker])
        pair.feed(numbers(100, 120))
        await until(lambda: pair.lag() == 0, running=[worker])
    assert pair.copied() == numbers(40, 120)
    assert pair.letters() == []


async def test_records_that_were_deleted_before_they_were_read_are_told_of(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    pair = Pair(broker.address, 1)
    pair.feed(numbers(0, 50))
    async with copying(pair, tmp_path) as worker:
        await until(lambda: pair.lag() == 0, running=[worker])
    pair.feed(numbers(50, 100))
    _delete_before(pair, 70)  # while nobody reads
    async with copying(pair, tmp_path) as worker:
        await until(lambda: pair.lag() == 0, running=[worker])
        places = worker.app.consumer.assignment()
        worker.app.consumer.pause_partitions(places)
        pair.feed(numbers(100, 150))
        _delete_before(pair, 120)  # under the eyes of one who is behind
        worker.app.consumer.resume_partitions(places)
        await until(lambda: pair.lag() == 0, running=[worker])
    copied = pair.copied()
    assert copied[:50] == numbers(0, 50)
    told = [dict(letter.headers()) for letter in pair.letters()]
    gone = [(int(one["hub-dl-offset"]), one["hub-dl-reason"]) for one in told]
    assert gone[0] == (50, b"20 offsets from 50 on were deleted before they were read")
    assert all(one["hub-dl-reason-class"] == b"lost" for one in told)
    lost = {number for start, reason in gone for number in range(start, start + int(reason.split()[0]))}
    assert {int(value) for value in copied} | lost == set(range(150))
    assert {int(value) for value in copied} & lost == set()


async def test_a_topic_that_was_made_anew_is_read_from_its_start(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    pair = Pair(broker.address, 1)
    pair.feed(numbers(0, 50))
    async with copying(pair, tmp_path) as worker:
        await until(lambda: pair.lag() == 0, running=[worker])
    pair.admin.delete_topics([pair.source])[pair.source].result(30)
    await until(lambda: pair.source not in pair.admin.list_topics(timeout=30).topics)
    pair.make(pair.source, 1)
    pair.feed(numbers(1_000, 1_020))
    async with copying(pair, tmp_path) as worker:
        await until(lambda: len(pair.copied()) == 70, running=[worker])
    assert pair.copied() == numbers(0, 50) + numbers(1_000, 1_020)


# -- outputs -----------------------------------------------------------------------------------------------------


async def test_what_cannot_be_processed_or_written_is_set_aside_and_its_neighbours_go_on(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    pair = Pair(broker.address, 1, target={"max.message.bytes": "20000"})
    too_large_for_the_topic, too_large_for_all = os.urandom(30_000), os.urandom(3 << 20)

    def work(record: Record) -> bytes:
        number = int(record.value or b"")
        if number == 310:
            raise KeyError("the value of a field of somebody's")
        return {10: too_large_for_the_topic, 20: too_large_for_all}.get(number, same(record))

    pair.feed(numbers(0, 500))
    async with copying(pair, tmp_path, work) as worker:
        await until(lambda: pair.lag() == 0, running=[worker])
    assert pair.copied() == [value for value in numbers(0, 500) if value not in (b"10", b"20", b"310")]
    letters = {letter.value(): dict(letter.headers()) for letter in pair.letters()}
    assert {value: one["hub-dl-reason-class"] for value, one in letters.items()} == {
        b"10": b"refused",
        b"20": b"refused",
        b"310": b"failed",
    }
    assert letters[b"310"]["hub-dl-reason"].startswith(b"the stage failed: KeyError at test_transport.py:")


# -- a broker that goes away -------------------------------------------------------------------------------------


async def test_a_broker_that_stops_and_comes_back_costs_nothing(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    pair = Pair(broker.address, 2)
    async with copying(pair, tmp_path) as first, copying(pair, tmp_path) as second:
        feeding = asyncio.gather(
            *(asyncio.to_thread(pair.feed, numbers(0, 8_000), part) for part in pair.partitions)
        )
        await until(lambda: len(pair.copied(0)) + len(pair.copied(1)) > 1_000, running=[first, second])
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        await feeding
        await until(pair.caught_up, 60, running=[first, second])
    for part in pair.partitions:
        assert pair.copied(part) == numbers(0, 8_000)


async def test_a_broker_that_answers_nothing_slows_the_reading_and_no_more_waits_than_may(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    pair = Pair(broker.address, 1)
    value = os.urandom(10_000)
    pair.feed([value] * 3_000)  # twice what may wait for a stage
    work = HeldUp()
    work.go_on.set()
    async with copying(pair, tmp_path, work) as worker:
        assert await asyncio.to_thread(work.begun.wait, 30)
        broker.pause()
        try:
            # What is in hand may still be worked on, beside the transaction that waits; then all stands.
            await asyncio.sleep(1)
            reached, before = _records_taken(worker), os.times()
            await asyncio.sleep(2)  # in which nothing may happen
            assert sum(os.times()[:2]) - sum(before[:2]) < 1, "it spins"
            assert _records_taken(worker) == reached < 3_000
            assert worker.run._backlog._size <= 17 << 20
        finally:
            broker.resume()
        await until(lambda: pair.lag() == 0, 60, running=[worker])
    assert pair.copied() == [value] * 3_000


# -- for these tests ---------------------------------------------------------------------------------------------


def _records_taken(worker: Running) -> int:
    return sum(len(batch.records) for batch in worker.stage.taken)


def _delete_before(pair: Pair, offset: int) -> None:
    """As retention would."""
    for done in pair.admin.delete_records([TopicPartition(pair.source, 0, offset)]).values():
        done.result(30)


def _log(servers: str, topic: str) -> list[bytes]:
    """What is left of a partition."""
    return [message.value() for message in read_all(servers, topic, 0)]
