"""Reading committed offsets, stable ones only."""

from __future__ import annotations

from collections.abc import Container, Sequence

from confluent_kafka import OFFSET_INVALID, Consumer, TopicPartition

from hub.stream.records import Positions


def committed_offsets(
    servers: str, group: str, places: Sequence[tuple[str, int]], read_again: Container[str] = ()
) -> Positions:
    """Per (topic, partition), where the group goes on; the log's start where it never committed.

    Topics in `read_again` start at the log's start whatever was committed.

    With `read_committed` librdkafka waits for a transaction that is still being finished, so a position from
    before a dead worker's last transaction is never returned. Raises KafkaException when Kafka is away.
    """
    if not places:
        return {}
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": group, "isolation.level": "read_committed"}
    )
    try:
        found = consumer.committed([TopicPartition(*place) for place in places], timeout=30)
        positions: Positions = {}
        for part in found:
            if part.error is not None:
                raise part.error
            place = (part.topic, part.partition)
            if part.offset != OFFSET_INVALID and part.topic not in read_again:
                positions[place] = part.offset
            else:
                low, _ = consumer.get_watermark_offsets(TopicPartition(*place), timeout=30)
                positions[place] = low
        return positions
    finally:
        consumer.close()
