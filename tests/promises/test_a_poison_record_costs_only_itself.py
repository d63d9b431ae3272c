"""A record of which nothing can be made is set aside, once, at whatever stage; its neighbours go on."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import pytest
from confluent_kafka import Message, Producer

from hub.delivery.dead_letter import DeadLetter
from hub.stream import topics
from hub.stream.reading import read_all
from hub.testing.live import LiveHub, until
from tests.chaos.payloads import Payloads
from tests.chaos.truth import CAPTURED, REFUNDED, Lane
from tests.promises.inbox import workers

PARTY, INSTANCE = "E08000025", "birmingham-pay"
MESSAGES = 10
Origin = tuple[str, int, int]


@pytest.fixture
def lanes() -> list[Lane]:
    return [Lane(f"poison{uuid.uuid4().hex[:12]}", PARTY) for _ in range(4)]


@contextmanager
def one_batch(hub: LiveHub) -> Iterator[None]:
    """What is written meanwhile is read in one go: the worker stands still, for less than its group waits."""
    (worker,) = workers(hub)
    os.kill(worker, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(worker, signal.SIGCONT)


def test_in_the_middle_of_a_batch_and_of_its_subject(hub: LiveHub, lanes: list[Lane]) -> None:
    payloads, random = Payloads(), Random(11)
    wanted = {(lane.subject, number) for lane in lanes for number in range(MESSAGES)}
    poisoned = []
    with hub.subscriber(PARTY, types=[CAPTURED, REFUNDED]) as subscriber:
        with one_batch(hub):
            for number in range(MESSAGES):
                for lane in lanes:
                    assert hub.post(INSTANCE, payloads.body(lane, number)).status_code == 202
                broken = payloads.poison(random.choice(lanes), uuid.uuid4().hex, random)
                answer = hub.post(INSTANCE, broken)
                assert answer.status_code == 202
                poisoned.append(answer.headers["hub-record-id"])
        heard = lambda: {  # noqa: E731
            (one.data["payment_id"], one.data.get("refunded_total") or 0) for one in subscriber.received
        }
        assert until(lambda: wanted <= heard())
    assert until(lambda: [len(letters_of(hub, one)) for one in poisoned] == [1] * MESSAGES)


def test_at_every_stage(hub: LiveHub, lanes: list[Lane]) -> None:
    payloads = Payloads()
    with hub.subscriber(PARTY, types=[CAPTURED]) as subscriber:
        with one_batch(hub):
            planted = {}
            for lane in lanes:
                planted |= plant(hub, lane)
                assert hub.post(INSTANCE, payloads.body(lane, 0)).status_code == 202
                planted |= plant(hub, lane)
        subjects = {lane.subject for lane in lanes}
        assert until(lambda: subjects <= {one.data["payment_id"] for one in subscriber.received})
        # Of nothing that was planted anything came.
        assert [one.data["payment_id"] for one in subscriber.received if "planted" in one.id] == []
    assert until(lambda: planted.keys() <= letters(hub).keys()), planted.keys() - letters(hub).keys()
    for origin, stage in planted.items():
        assert letters(hub)[origin] == [stage]


def test_what_lies_twice_in_its_topic_is_set_aside_once_and_what_is_sent_twice_twice(
    hub: LiveHub, lanes: list[Lane]
) -> None:
    lane, payloads = lanes[0], Payloads()
    broken = payloads.poison(lane, uuid.uuid4().hex, Random(12))
    with hub.subscriber(PARTY, types=[CAPTURED]) as subscriber:
        raw_id = hub.post(INSTANCE, broken).headers["hub-record-id"]
        write_again(hub, raw_id)
        assert hub.post(INSTANCE, broken).headers["hub-record-id"] == raw_id
        assert (
            hub.post(INSTANCE, payloads.body(lane, 0)).status_code == 202
        )  # behind them, for the same subject
        assert subscriber.wait(lambda got: lane.subject in [one.data["payment_id"] for one in got], 30)
    set_aside = [message for message in raw_records(hub, raw_id) if place_of(message) in letters(hub)]
    assert (len(raw_records(hub, raw_id)), len(set_aside)) == (3, 2)
    assert until(lambda: len(letters_of(hub, raw_id)) == 2)


def write_again(hub: LiveHub, raw_id: str) -> None:
    """As a producer does that has no answer."""
    (message,) = raw_records(hub, raw_id)
    producer = Producer({"bootstrap.servers": hub.client_kafka, "acks": "all"})
    producer.produce(
        message.topic(),
        message.value(),
        message.key(),
        partition=message.partition(),
        timestamp=message.timestamp()[1],
        headers=message.headers(),
    )
    assert producer.flush(30) == 0


def raw_records(hub: LiveHub, raw_id: str) -> list[Message]:
    """All of this id."""
    topic, wanted = topics.raw("govuk_pay"), ("hub-id", raw_id.encode())
    every = (message for part in range(4) for message in read_all(hub.client_kafka, topic, part))
    return [message for message in every if wanted in (message.headers() or [])]


def place_of(message: Message) -> Origin:
    """Where it lies."""
    return message.topic(), message.partition(), message.offset()


def plant(hub: LiveHub, lane: Lane) -> dict[Origin, str]:
    """A broken record beside those of the lane's subject, in the topic of every stage; which stage each is for."""
    producer = Producer(
        {
            "bootstrap.servers": hub.client_kafka,
            "acks": "all",
            "partitioner": "murmur2_random",
            "linger.ms": 0,
        }
    )
    raw = {"hub-id": uuid.uuid4().hex, "hub-instance": INSTANCE, "hub-source": "webhook"}
    event = {
        "ce_specversion": "1.0",
        "ce_id": f"planted-{uuid.uuid4()}",
        "ce_source": "/nowhere",
        "ce_type": CAPTURED,
        "ce_subject": lane.subject,
        "ce_time": "2026-01-01T00:00:00Z",
    }
    places = {
        topics.raw("govuk_pay"): (raw, b"{", "translate"),
        topics.events("payments"): (event, b"\0\x7f\xff\xff\xffno such contract", "route"),
        topics.inbox(PARTY): (event, b"\1no magic byte", "deliver"),
    }
    found: dict[Origin, str] = {}
    for topic, (headers, value, stage) in places.items():

        def told(error: object, message: object, stage: str = stage) -> None:
            assert error is None
            found[message.topic(), message.partition(), message.offset()] = stage  # type: ignore[attr-defined]

        producer.produce(topic, value, lane.subject.encode(), headers=list(headers.items()), on_delivery=told)
    assert producer.flush(30) == 0
    assert len(found) == len(places)
    return found


def letters(hub: LiveHub) -> dict[Origin, list[str]]:
    """The stages of all dead letters by the place of the record that each is about."""
    found: dict[Origin, list[str]] = {}
    for part in range(4):
        for message in read_all(hub.client_kafka, topics.DEAD_LETTERS, part):
            letter = DeadLetter.from_headers(message.headers())
            found.setdefault((letter.topic, letter.partition, letter.offset), []).append(letter.stage)
    return found


def letters_of(hub: LiveHub, raw_id: str) -> list[object]:
    """The dead letters of a raw record, as an operator sees them."""
    return list(hub.client.get("/v1/failures/of", event=raw_id)["failures"])
