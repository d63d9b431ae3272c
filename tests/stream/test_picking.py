"""A record that does not come in time is not taken for one that is past its retention."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from hub.stream import picking, topics
from hub.stream.exclusive import ExclusiveWriter
from hub.stream.ingest import KafkaAway
from hub.stream.picking import Picker, read_one
from hub.stream.records import Output


@pytest.fixture
def topic(kafka: str) -> str:
    made = f"picked-{uuid.uuid4().hex}"
    topics.ensure(kafka, [topics.Topic(made, 1, 1)])
    return made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From now on what does not come is waited for no longer than a moment."""
    return lambda: monkeypatch.setattr(picking, "_PATIENCE", 1.0)


@pytest.fixture
def held_back(kafka: str, topic: str) -> Iterator[int]:
    """The offset of a committed record that Kafka does not hand out yet: an earlier transaction is still open."""
    earlier = Producer({"bootstrap.servers": kafka, "transactional.id": uuid.uuid4().hex})
    earlier.init_transactions(30)
    earlier.begin_transaction()
    earlier.produce(topic, b"open")
    assert earlier.flush(30) == 0
    ExclusiveWriter(kafka, uuid.uuid4().hex).write([Output(topic, b"", b"there")])
    yield 1
    earlier.abort_transaction(30)


def test_a_record_that_kafka_is_slow_to_give_is_not_gone(
    kafka: str, topic: str, held_back: int, impatient: Callable[[], None]
) -> None:
    impatient()
    picker = Picker(kafka)
    with pytest.raises(KafkaException) as caught:
        picker.pick(topic, 0, held_back)
    assert caught.value.args[0].code() == KafkaError._TIMED_OUT
    with pytest.raises(KafkaAway):
        read_one(kafka, topic, 0, held_back)
    picker.close()


def test_what_the_log_does_not_reach_is_gone(kafka: str, topic: str, impatient: Callable[[], None]) -> None:
    ExclusiveWriter(kafka, uuid.uuid4().hex).write([Output(topic, b"", b"there")])
    found = read_one(kafka, topic, 0, 0)
    assert found is not None
    assert found.value() == b"there"
    impatient()
    assert read_one(kafka, topic, 0, 50) is None
