"""Reading topics outside the group: a whole partition, one record, a table that follows its topic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

Message = Any  # confluent_kafka.Message, which is untyped


def _consumer(servers: str, **settings: object) -> Consumer:
    return Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": "hub-reading",  # required by the client; nothing is ever committed under it
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "auto.offset.reset": "earliest",
            **settings,
        }
    )


def read_all(servers: str, topic: str, partition: int) -> Iterator[Message]:
    """Every committed record of a partition as it stands now, oldest first. Raises KafkaException."""
    consumer = _consumer(servers)
    try:
        place = TopicPartition(topic, partition)
        low, high = consumer.get_watermark_offsets(place, timeout=30)
        if low >= high:
            return
        consumer.assign([TopicPartition(topic, partition, low)])
        while True:
            for message in consumer.consume(10_000, timeout=0.1):
                if message.error():
                    raise KafkaException(message.error())
                yield message
            # The position passes markers and aborted records too, which are never handed out.
            (at,) = consumer.position([place])
            if at.offset >= high:
                return
    finally:
        consumer.close()


def read_one(servers: str, topic: str, partition: int, offset: int) -> Message | None:
    """The record at an offset, or None where it is gone. Raises KafkaException."""
    consumer = _consumer(servers)
    try:
        consumer.assign([TopicPartition(topic, partition, offset)])
        message = consumer.poll(10)
        if message is None:
            return None
        if message.error():
            raise KafkaException(message.error())
        return message if message.offset() == offset else None
    finally:
        consumer.close()
