"""A table that follows a compacted topic of one partition: the newest value per key, kept up to date."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Thread
from typing import ClassVar

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from hub.stream.reading import Message, at_end, new_consumer

log = structlog.get_logger()

#: A hub has a dozen tables at the ends of their topics, and every time that one asks costs Kafka a millisecond.
_WAIT_MS = 250


class Table:
    """Reads from the start, then follows, on a thread of its own. `on_change(key, value)`; None is deletion."""

    def __init__(self, servers: str, topic: str, on_change: Callable[[str, bytes | None], None]) -> None:
        self._servers = servers
        self._topic = topic
        self._on_change = on_change
        self._caught_up = Event()
        self._stopping = Event()
        self._thread = Thread(target=self._follow, name=f"table-{topic}", daemon=True)
        self._thread.start()

    @property
    def caught_up(self) -> bool:
        """Whether all that stood in the topic at the start is in the table."""
        return self._caught_up.is_set()

    @property
    def alive(self) -> bool:
        """Whether it follows."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Stop following."""
        self._stopping.set()
        self._thread.join(5)

    def _follow(self) -> None:
        consumer = new_consumer(self._servers, wait_ms=_WAIT_MS)
        try:
            self._learn_leader(consumer)
            consumer.assign([TopicPartition(self._topic, 0, OFFSET_BEGINNING)])
            while not self._stopping.is_set():
                for message in consumer.consume(1000, timeout=0.1):
                    self._take(message)
        finally:
            consumer.close()

    def _learn_leader(self, consumer: Consumer) -> None:
        """At once, and not a second later; if Kafka is away, following will find it."""
        with suppress(KafkaException):
            consumer.get_watermark_offsets(TopicPartition(self._topic, 0), timeout=5)

    def _take(self, message: Message) -> None:
        try:
            if at_end(message):
                self._caught_up.set()
            else:
                self._on_change(message.key().decode(), message.value())
        except KafkaException as error:  # the client goes on by itself
            log.warning("table-behind", topic=self._topic, error=error.args[0].name())


class Follower(ABC):
    """A read model that follows a topic. Answers from any thread."""

    topic: ClassVar[str]
    _table: Table | None = None

    @abstractmethod
    def change(self, key: str, value: bytes | None) -> None:
        """Take in one record of the topic."""

    def follow(self, servers: str) -> None:
        """Start following, and do not wait: Kafka may be away."""
        self._table = Table(servers, self.topic, self.change)

    @property
    def known(self) -> bool:
        """Whether what stood in the topic when following began is known."""
        return self._table is not None and self._table.caught_up

    @property
    def following(self) -> bool:
        """Whether changes are still heard of."""
        return self._table is not None and self._table.alive

    def close(self) -> None:
        """Stop following."""
        if self._table is not None:
            self._table.close()
