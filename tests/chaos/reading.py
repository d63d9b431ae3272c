"""What lies in the topics when all is over: each inbox as a place where nothing may repeat, and the dead letters."""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import UTC, datetime

from hub.delivery.dead_letter import DeadLetter
from hub.events.kafka import header
from hub.registry.codec import CodecError, decode
from hub.registry.schemas import Registry
from hub.stream import topics
from hub.stream.reading import read_all
from tests.chaos.checker import Arrival
from tests.chaos.truth import key_of

Origin = tuple[str, int, int]


def arrivals_in(
    servers: str, topic: str, partitions: int, registry: Registry, planted: Container[Origin]
) -> list[Arrival]:
    """Every committed event of a topic, in order per partition. What was `planted` there on purpose is left out.

    Raises KafkaException.
    """
    found = []
    for part in range(partitions):
        for message in read_all(servers, topic, part):
            if (topic, part, message.offset()) in planted:
                continue
            headers = message.headers() or []
            event_id = header(headers, "ce_id")
            where = f"{part}@{message.offset()} {datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC):%T.%f}"
            try:
                _, data = decode(message.value() or b"", registry)
            except CodecError:
                found.append(Arrival(None, event_id, where=where))
                continue
            found.append(Arrival(key_of(header(headers, "ce_type"), data), event_id, where=where))
    return found


def letters(servers: str, partitions: int, planted: Container[Origin]) -> Iterator[tuple[str, str]]:
    """Every dead letter: what it is about, and its id. Raises KafkaException, ValueError."""
    for part in range(partitions):
        for message in read_all(servers, topics.DEAD_LETTERS, part):
            letter = DeadLetter.from_headers(message.headers() or [])
            yield about(letter, planted), letter.id


def about(letter: DeadLetter, planted: Container[Origin]) -> str:
    """What a dead letter is about, in the words of the truth."""
    origin = (letter.topic, letter.partition, letter.offset)
    if origin in planted:
        return planted_key(origin)
    if letter.stage == "translate":
        return f"translate:{letter.event_id}"
    if letter.stage == "route":
        return f"route:{letter.route}:{letter.subject}"
    return f"{letter.stage}:{letter.subscription}:{letter.subject}:{letter.reason}"


def planted_key(origin: Origin) -> str:
    """Of a record that was written into a topic past the hub."""
    return "planted:{}:{}:{}".format(*origin)
