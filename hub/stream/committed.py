"""Reading committed offsets, stable ones only."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from hub.stream.client import reaching
from hub.stream.records import Place, Positions


class Committed(NamedTuple):
    """Where a group goes on, and the mark of the transaction that said so."""

    offset: int
    mark: str


def read_committed(servers: str, group: str, places: Sequence[Place]) -> dict[Place, Committed]:
    """Of those places where the group has committed. Raises KafkaException when Kafka is away.

    With `read_committed` librdkafka waits for a transaction that is still being finished, so a position from
    before a dead worker's last transaction is never returned.
    """
    consumer = _consumer(servers, group)
    try:
        return _committed(consumer, places)
    finally:
        consumer.close()


def committed_offsets(
    servers: str, group: str, places: Sequence[Place], unread: Container[Place] = ()
) -> Positions:
    """Per place where the group goes on; the log's start where it never committed, and for those in `unread`.

    As stable, and with the same errors, as `read_committed`.
    """
    if not places:
        return {}
    consumer = _consumer(servers, group)
    try:
        there = _committed(consumer, places)
        positions = {place: at.offset for place, at in there.items() if place not in unread}
        for place in places:
            if place not in positions:
                positions[place], _ = consumer.get_watermark_offsets(TopicPartition(*place), timeout=10)
        return positions
    finally:
        consumer.close()


def _consumer(servers: str, group: str) -> Consumer:
    return Consumer({**reaching(servers), "group.id": group, "isolation.level": "read_committed"})


def _committed(consumer: Consumer, places: Sequence[Place]) -> dict[Place, Committed]:
    found = {}
    for part in consumer.committed([TopicPartition(*place) for place in places], timeout=10):
        if part.error is not None:
            raise KafkaException(part.error)
        if part.offset != OFFSET_INVALID:
            found[part.topic, part.partition] = Committed(part.offset, part.metadata or "")
    return found
