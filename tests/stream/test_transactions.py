"""The one step that moves offsets: both or neither, and never by a worker that the group has given up on."""

from __future__ import annotations

import gc
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Producer as ConfluentProducer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka.errors import KafkaTimeoutError

from hub.stream import packing, producer, topics
from hub.stream.committed import Committed, committed_offsets, read_committed
from hub.stream.producer import Producer
from hub.stream.progress import Progress
from hub.stream.reading import read_all
from hub.stream.records import Fence, Output, Place
from hub.stream.transactions import Transactor, open_producer
from hub.stream.verdicts import Refused
from hub.testing.journeys.base import until
from tests.stream.at_work import limit


@pytest.fixture
def topic(kafka: str) -> str:
    name = f"t-{uuid.uuid4().hex[:8]}"
    client = AdminClient({"bootstrap.servers": kafka})
    client.create_topics([NewTopic(name, 1, 1)])[name].result(30)
    return name


class Member:
    """A living member of a group, by librdkafka, whose membership we borrow."""

    def __init__(self, kafka: str, group: str, topic: str) -> None:
        self.group = group
        self.consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": group,
                "session.timeout.ms": 6_000,
                "enable.auto.commit": False,
            }
        )
        self.consumer.subscribe([topic])
        while not self.consumer.assignment():
            self.consumer.poll(0.1)

    @property
    def fence(self) -> Fence:
        """Read out of librdkafka's own serialised metadata."""
        raw = self.consumer.consumer_group_metadata()
        assert isinstance(raw, bytes)
        assert raw.startswith(b"CGMDv2:")
        generation = int.from_bytes(raw[7:11], "little", signed=True)
        group, member, _ = raw[11:].split(b"\0", 2)
        assert group.decode() == self.group
        return Fence(self.group, generation, member.decode())


@pytest.fixture
def member(kafka: str, topic: str) -> Iterator[Member]:
    made = Member(kafka, f"g-{topic}", topic)
    yield made
    made.consumer.close()


@pytest.fixture
def transactor(kafka: str, topic: str) -> Iterator[Transactor]:
    made = Transactor(kafka, f"x-{topic}")
    yield made
    made.close()


def sockets_left_by_a_refusal() -> int:
    """How many more are open after a Kafka that refuses connections than before."""
    producer.TIME_LIMIT = 1.0
    gc.collect()
    gc.disable()
    before = open_sockets()
    with pytest.raises(KafkaTimeoutError):
        open_producer("127.0.0.1:1", "nobody")
    return open_sockets() - before


def open_sockets() -> int:
    return sum(isinstance(one, socket.socket) and one.fileno() >= 0 for one in gc.get_objects())


def values(kafka: str, topic: str) -> list[bytes | None]:
    return [message.value() for message in read_all(kafka, topic, 0)]


def test_outputs_and_offsets_are_committed_together(
    kafka: str, topic: str, member: Member, transactor: Transactor
) -> None:
    outputs = [Output(topic, b"key", b"one"), Output(topic, b"key", b"two")]
    assert transactor.commit(outputs, {(topic, 0): 7}, member.fence)
    assert values(kafka, topic) == [b"one", b"two"]
    assert committed_offsets(kafka, member.group, [(topic, 0)]) == {(topic, 0): 7}


def test_a_batch_of_an_old_generation_writes_nothing_and_moves_nothing(
    kafka: str, topic: str, member: Member, transactor: Transactor
) -> None:
    now = member.fence
    zombie = Fence(now.group, now.generation - 1, now.member_id)
    assert not transactor.commit([Output(topic, b"key", b"zombie")], {(topic, 0): 9}, zombie)
    assert values(kafka, topic) == []
    assert committed_offsets(kafka, member.group, [(topic, 0)]) == {(topic, 0): 0}
    assert transactor.commit([Output(topic, b"key", b"living")], {(topic, 0): 1}, now)
    assert values(kafka, topic) == [b"living"]


def test_a_worker_that_was_thrown_out_of_the_group_writes_nothing(
    kafka: str, topic: str, member: Member, transactor: Transactor
) -> None:
    gone = Fence(member.group, member.fence.generation, "not-a-member")
    assert not transactor.commit([Output(topic, b"key", b"gone")], {(topic, 0): 9}, gone)
    assert values(kafka, topic) == []


def test_the_next_holder_of_a_name_fences_the_one_before_whose_batch_is_not_lost(
    kafka: str, topic: str, member: Member, transactor: Transactor
) -> None:
    assert transactor.commit([Output(topic, b"key", b"first")], {(topic, 0): 1}, member.fence)
    successor = Transactor(kafka, f"x-{topic}")
    assert successor.commit([Output(topic, b"key", b"second")], {(topic, 0): 2}, member.fence)
    # The first finds itself fenced, looks where the group stands, and sees that its own batch is still to do.
    assert transactor.commit([Output(topic, b"key", b"third")], {(topic, 0): 3}, member.fence)
    assert values(kafka, topic) == [b"first", b"second", b"third"]
    successor.close()


class Unlucky:
    """A producer whose first commit goes as `first` says; then all is well."""

    def __init__(self, first: str) -> None:
        self.first = first
        self.commits: list[str] = []
        self.asked = 0

    def opened(self, servers: str, name: str) -> Producer:
        unlucky = self

        class Late(Producer):
            async def _end(self) -> None:
                unlucky.commits.append("later" if unlucky.commits else unlucky.first)
                if unlucky.commits[-1] != "does not happen":
                    await super()._end()
                if len(unlucky.commits) == 1:
                    raise KafkaTimeoutError

        producer = Late(servers, name)
        producer.open()
        return producer

    def committed(self, servers: str, group: str, places: Sequence[Place]) -> dict[Place, Committed]:
        self.asked += 1
        if self.asked < 3:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return read_committed(servers, group, places)


@pytest.mark.parametrize("offset", [0, 1], ids=["moving nothing", "moving on"])
@pytest.mark.parametrize("first", ["happens", "does not happen"])
def test_a_commit_without_an_answer_happens_once_whatever_became_of_it(
    kafka: str, topic: str, member: Member, first: str, offset: int
) -> None:
    unlucky = Unlucky(first)
    transactor = Transactor(kafka, f"u-{topic}", unlucky.opened, unlucky.committed)
    assert transactor.commit([Output(topic, b"key", b"once")], {(topic, 0): offset}, member.fence)
    transactor.close()
    assert unlucky.commits == (["happens"] if first == "happens" else ["does not happen", "later"])
    assert unlucky.asked == 3, "nobody could say at first"
    assert values(kafka, topic) == [b"once"]


def test_a_stage_whose_commit_kafka_does_not_take_waits_and_is_not_at_fault(
    kafka: str, topic: str, member: Member
) -> None:
    unlucky, progress, told = Unlucky("does not happen"), Progress("route"), list[str]()

    def committed(servers: str, group: str, places: Sequence[Place]) -> dict[Place, Committed]:
        told.append(progress.waits_for)
        return unlucky.committed(servers, group, places)

    transactor = Transactor(kafka, f"u-{topic}", unlucky.opened, committed)
    with ThreadPoolExecutor(1, initializer=progress.bind) as thread:
        outputs = [Output(topic, b"key", b"once")]
        assert thread.submit(transactor.commit, outputs, {(topic, 0): 1}, member.fence).result(60)
    transactor.close()
    assert told == [
        f"Kafka takes no transaction ({why})" for why in ("KafkaTimeoutError", "_TRANSPORT", "_TRANSPORT")
    ]
    assert progress.waits_for == ""


def test_nobody_commits_as_nobody(kafka: str, topic: str, member: Member, transactor: Transactor) -> None:
    """Kafka would take it for somebody outside all groups: what a member does between two memberships."""
    outsider = Fence(member.group, -1, "")
    assert not transactor.commit([Output(topic, b"key", b"nobody")], {(topic, 0): 5}, outsider)
    assert values(kafka, topic) == []
    assert committed_offsets(kafka, member.group, [(topic, 0)]) == {(topic, 0): 0}


@pytest.mark.parametrize("ahead", [7_200.0, -2 * 86_400.0], ids=["hours ahead", "days behind"])
def test_nothing_is_refused_or_lost_for_a_clock_that_is_far_off_it_waits_until_that_is_right(
    topic: str, member: Member, transactor: Transactor, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    topics.ensure(transactor.servers, [topics.Topic(topic, 1, 1, {"retention.ms": str(3 * 86_400_000)})])
    monkeypatch.setattr(packing, "time", lambda: time.time() + ahead)
    progress = Progress("stage")
    with ThreadPoolExecutor(1, initializer=progress.bind) as thread:
        waiting = thread.submit(
            transactor.commit, [Output(topic, b"key", b"one")], {(topic, 0): 7}, member.fence
        )
        assert until(lambda: "clock" in progress.waits_for), "an operator is told"
        ahead = 0.0
        assert waiting.result(30)
    assert values(transactor.servers, topic) == [b"one"]


def test_a_kafka_that_refuses_connections_costs_no_sockets() -> None:
    """For as long as it does, and though nobody looks for cycles, which a worker seldom does."""
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # whose sockets are all of this
        assert alone.submit(sockets_left_by_a_refusal).result(60) == 0


def test_a_quota_in_kafka_delays_a_transaction_and_does_not_fail_it(
    kafka: str, topic: str, member: Member
) -> None:
    opened = list[str]()

    def once(servers: str, name: str) -> Producer:
        assert not opened, "it is written again, which is over the quota again"
        opened.append(name)
        return open_producer(servers, name)

    progress, transactor = Progress("stage"), Transactor(kafka, f"q-{topic}", once)
    limit(kafka, f"q-{topic}", 10_000)
    value = os.urandom(120_000)  # Kafka counts over ten seconds: this is two more than the quota has room for
    with ThreadPoolExecutor(1, initializer=progress.bind) as thread:
        waiting = thread.submit(
            transactor.commit, [Output(topic, b"key", value)], {(topic, 0): 7}, member.fence
        )
        assert until(lambda: "quota" in progress.waits_for), "an operator is told"
        assert waiting.result(30)
    transactor.close()
    assert progress.waits_for == ""
    assert values(kafka, topic) == [value]


@pytest.mark.parametrize(
    "output",
    [
        lambda topic: Output(topic, b"key", os.urandom(3 << 20)),
        lambda topic: Output(topic, b"key", b"value", [("name", 7)]),  # type: ignore[list-item]
    ],
    ids=["too large", "not a header"],
)
def test_what_kafka_will_never_take_is_refused_at_once_and_the_next_goes_on(
    kafka: str, topic: str, member: Member, transactor: Transactor, output: Callable[[str], Output]
) -> None:
    outputs = [Output(topic, b"key", b"beside it"), output(topic)]
    with pytest.raises(Refused):
        transactor.commit(outputs, {(topic, 0): 1}, member.fence)
    with pytest.raises(Refused):
        transactor.rehearse(outputs)
    assert values(kafka, topic) == []
    assert transactor.commit([Output(topic, b"key", b"next")], {(topic, 0): 1}, member.fence)
    assert values(kafka, topic) == [b"next"]


def test_a_transaction_tells_that_it_gets_on_before_it_is_over(
    topic: str, member: Member, transactor: Transactor
) -> None:
    progress = Progress("stage")
    with ThreadPoolExecutor(1, initializer=progress.bind) as thread:
        assert thread.submit(transactor.commit, [Output(topic, b"key", b"one")], {}, member.fence).result(30)
    assert progress.moves == 2  # packed, and written


def test_what_is_rehearsed_is_not_written_and_the_next_goes_on(
    kafka: str, topic: str, member: Member, transactor: Transactor
) -> None:
    for number in range(3):
        transactor.rehearse([Output(topic, b"key", b"not yet")])
        assert transactor.commit([Output(topic, b"key", b"%d" % number)], {(topic, 0): number}, member.fence)
    assert values(kafka, topic) == [b"0", b"1", b"2"]


def test_who_reads_past_a_transaction_that_does_not_end_waits_and_says_for_what(
    kafka: str, topic: str
) -> None:
    progress = Progress("deliver")
    hanging = ConfluentProducer({"bootstrap.servers": kafka, "transactional.id": f"h-{topic}"})
    hanging.init_transactions(30)
    hanging.begin_transaction()
    hanging.produce(topic, b"open")
    hanging.flush(30)
    with ThreadPoolExecutor(1, initializer=progress.bind) as thread:
        reading = thread.submit(values, kafka, topic)
        assert until(lambda: progress.waits_for != "", 30)
        assert progress.waits_for.startswith(f"{topic}/0 gives nothing more")
        hanging.abort_transaction(30)
        assert reading.result(30) == []
    assert progress.waits_for == ""


def test_reading_a_partition_ends_although_a_marker_stands_at_its_end(
    kafka: str, topic: str, member: Member, transactor: Transactor
) -> None:
    assert transactor.commit([Output(topic, b"key", b"one")], {}, member.fence)
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "x"})
    end = lambda: consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)[1]  # noqa: E731
    # The record, and the marker of the transaction, which Kafka writes after it has said that this is committed.
    assert until(lambda: end() == 2)
    consumer.close()
    assert values(kafka, topic) == [b"one"]
