"""How far each recipient has come in each partition of its party's inbox: records in `hub.deliveries`.

One per recipient and inbox partition, in the partition of that number, for as long as the recipient lives. A
recipient without one is new to that partition, and gets what entered it since the recipient was made.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from hub.delivery.cursor import Owner, Standing
from hub.stream import topics
from hub.stream.reading import read_all
from hub.stream.records import Output

log = structlog.get_logger()


def written(owner: Owner, standing: Standing | None) -> Output:
    """The record of a cursor as it stands; None takes it away."""
    recipient, topic, partition = owner
    value = None if standing is None else standing.to_bytes()
    return Output(topics.DELIVERIES, f"{recipient}/{topic}/{partition}".encode(), value, [], partition)


def read_standings(servers: str, partitions: Iterable[int]) -> dict[Owner, Standing]:
    """All that stands in these partitions. Raises KafkaException."""
    found: dict[Owner, Standing] = {}
    for partition in partitions:
        newest = {
            message.key(): message.value() for message in read_all(servers, topics.DELIVERIES, partition)
        }
        for key, value in newest.items():
            recipient, topic, _ = key.decode().rsplit("/", 2)
            try:
                if value is not None:
                    found[recipient, topic, partition] = Standing.from_bytes(value)
            except ValueError:
                log.error("standing-unreadable", recipient=recipient, topic=topic, partition=partition)
    return found
