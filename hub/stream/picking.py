"""Reading single records by their places, many of them, mostly in the order of the log."""

from __future__ import annotations

from collections import deque

from confluent_kafka import Consumer, TopicPartition

from hub.stream.reading import Message, at_end, new_consumer

#: Records to read on over rather than to seek past.
_NEAR = 1_000


class Picker:
    """Reads records at places; quick where these follow each other. Not thread-safe: one thread uses it."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._consumer: Consumer | None = None
        self._place: tuple[str, int] | None = None
        self._next = 0
        self._read: deque[Message] = deque()

    def pick(self, topic: str, partition: int, offset: int) -> Message | None:
        """The record at an offset, or None where it is gone. Raises KafkaException."""
        if self._place != (topic, partition) or not self._next <= offset <= self._next + _NEAR:
            self._go(topic, partition, offset)
        while True:
            message = self._read.popleft() if self._read else self._fetch()
            if message is None or at_end(message):
                self._place = None  # seek anew: the end moves
                return None
            self._next = message.offset() + 1
            if message.offset() == offset:
                return message
            if message.offset() > offset:
                self._read.appendleft(message)
                self._next = message.offset()
                return None

    def close(self) -> None:
        """Close the connection."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _go(self, topic: str, partition: int, offset: int) -> None:
        if self._consumer is None:
            self._consumer = new_consumer(self._servers)
        # Asking first has the client learn the partition's leader at once, and not a second later.
        self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
        self._consumer.assign([TopicPartition(topic, partition, offset)])
        self._read.clear()
        self._place, self._next = (topic, partition), offset

    def _fetch(self) -> Message | None:
        assert self._consumer is not None
        self._read.extend(self._consumer.consume(500, timeout=0.02))
        if not self._read:
            self._read.extend(self._consumer.consume(1, timeout=10))
        return self._read.popleft() if self._read else None
