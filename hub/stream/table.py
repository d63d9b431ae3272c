"""A table that follows a compacted topic of one partition: the newest value per key, kept up to date."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

log = structlog.get_logger()


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

    def wait(self, timeout: float = 30) -> None:
        """Until all that stood in the topic at the start is in the table. Raises TimeoutError."""
        if not self._caught_up.wait(timeout):
            raise TimeoutError(f"{self._topic} could not be read within {timeout:.0f} s")

    def close(self) -> None:
        """Stop following."""
        self._stopping.set()
        self._thread.join(5)

    def _follow(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": "hub-reading",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 500,
            }
        )
        place = TopicPartition(self._topic, 0)
        try:
            high = self._high(consumer, place)
            consumer.assign([TopicPartition(self._topic, 0, 0)])
            while not self._stopping.is_set():
                for message in consumer.consume(1000, timeout=0.2):
                    if message.error():
                        log.warning("table-behind", topic=self._topic, error=message.error().name())
                        continue
                    self._on_change(message.key().decode(), message.value())
                (at,) = consumer.position([place])
                if at.offset >= high:
                    self._caught_up.set()
        finally:
            consumer.close()

    def _high(self, consumer: Consumer, place: TopicPartition) -> int:
        while not self._stopping.is_set():
            try:
                return int(consumer.get_watermark_offsets(place, timeout=5)[1])
            except KafkaException as error:
                log.warning("table-waits-for-kafka", topic=self._topic, error=error.args[0].name())
        return 0
