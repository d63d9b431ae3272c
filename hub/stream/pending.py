"""Deliveries that wait: each is a record in `hub.deliveries`, in its inbox record's partition, until it is over."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hub.delivery.delivery import Delivery
from hub.events.kafka import header
from hub.stream import topics
from hub.stream.reading import Message, read_all
from hub.stream.records import Headers, Output, Record

SUBSCRIPTION, PLACE, ATTEMPTS, DUE = "hub-subscription", "hub-place", "hub-attempts", "hub-due"


@dataclass(frozen=True, slots=True)
class Stored:
    """A record that was read outside the group, in the shape of the inbox record that it is or came from."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @classmethod
    def of(cls, message: Message) -> Stored:
        """From a message of the client."""
        return cls(
            message.topic(),
            message.partition(),
            message.offset(),
            message.timestamp()[1],
            message.key(),
            message.value(),
            message.headers() or [],
        )


def _key(delivery: Delivery) -> bytes:
    return f"{delivery.subscription_id}/{delivery.topic}/{delivery.partition}/{delivery.offset}".encode()


def waiting(delivery: Delivery, record: Record) -> Output:
    """The record of a delivery as it stands: the event itself, and how far it got."""
    own = [(name, value) for name, value in record.headers if name not in _OURS]
    headers = [
        *own,
        (SUBSCRIPTION, delivery.subscription_id.encode()),
        (PLACE, f"{delivery.topic}/{delivery.offset}".encode()),
        (ATTEMPTS, str(delivery.attempts).encode()),
        (DUE, f"{delivery.due:.3f}".encode()),
    ]
    return Output(topics.DELIVERIES, _key(delivery), record.value or b"", headers, delivery.partition)


def over(delivery: Delivery) -> Output:
    """The record that takes it away."""
    return Output(topics.DELIVERIES, _key(delivery), None, [], delivery.partition)


def read_waiting(servers: str, partition: int) -> Iterator[tuple[Delivery, Stored]]:
    """All that waits in a partition, in the order of the inbox. Raises KafkaException."""
    newest = {message.key(): message for message in read_all(servers, topics.DELIVERIES, partition)}
    found = []
    for message in newest.values():
        if message.value() is None:
            continue
        headers = message.headers() or []
        topic, _, offset = header(headers, PLACE).rpartition("/")
        stored = Stored(
            topic,
            partition,
            int(offset),
            message.timestamp()[1],
            header(headers, "ce_subject").encode(),
            message.value(),
            headers,
        )
        delivery = Delivery(
            header(headers, SUBSCRIPTION),
            header(headers, "ce_subject"),
            header(headers, "ce_id"),
            topic,
            partition,
            int(offset),
            attempts=int(header(headers, ATTEMPTS)),
            due=float(header(headers, DUE)),
        )
        found.append((delivery, stored))
    yield from sorted(found, key=lambda pair: (pair[0].topic, pair[0].offset))


_OURS = frozenset({SUBSCRIPTION, PLACE, ATTEMPTS, DUE})
