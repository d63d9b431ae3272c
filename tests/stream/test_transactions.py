"""The one step that moves offsets: both or neither, and never by a worker that the group has given up on."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from hub.stream.committed import committed_offsets
from hub.stream.reading import read_all
from hub.stream.records import Fence, Output
from hub.stream.transactions import Transactor


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


def test_a_commit_whose_answer_was_lost_is_found_to_have_happened(
    kafka: str, topic: str, member: Member, monkeypatch: pytest.MonkeyPatch, transactor: Transactor
) -> None:
    attempts = []
    real = Transactor._attempt

    def answer_lost(self: Transactor, *args: object) -> bool:
        attempts.append(real(self, *args))  # type: ignore[arg-type]
        raise KafkaException(_error())

    monkeypatch.setattr(Transactor, "_attempt", answer_lost)
    assert transactor.commit([Output(topic, b"key", b"once")], {(topic, 0): 1}, member.fence)
    assert attempts == [True]
    assert values(kafka, topic) == [b"once"]


def _error() -> object:
    from confluent_kafka import KafkaError

    return KafkaError(KafkaError._TIMED_OUT)


def test_reading_a_partition_ends_although_a_marker_stands_at_its_end(
    kafka: str, topic: str, member: Member, transactor: Transactor
) -> None:
    assert transactor.commit([Output(topic, b"key", b"one")], {}, member.fence) in (True, False)
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "x"})
    _, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=10)
    consumer.close()
    assert high == 2  # the record, and the marker of the transaction
    assert values(kafka, topic) == [b"one"]
