"""Read models that follow compacted topics of one partition: the newest value per key, kept up to date."""

from __future__ import annotations

from abc import ABC, abstractmethod
from threading import Event, Thread
from typing import ClassVar

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition

from hub.stream.reading import Message, at_end, new_consumer

log = structlog.get_logger()

#: How long Kafka keeps us waiting at the ends of the topics before it says that there is no more.
_WAIT_MS = 250

#: How long until we see that we are to stop, seconds.
_TURN_S = 0.2


class Follower(ABC):
    """A read model of one topic. Answers from any thread."""

    topic: ClassVar[str]
    known = False
    """Whether what stood in the topic when following began is known."""

    @abstractmethod
    def change(self, key: str, value: bytes | None) -> None:
        """Take in one record of the topic; None is deletion."""


class Following:
    """Reads followers' topics from the start, then goes on, on one thread over one connection.

    One for all of a process: each that asks at the ends of its topics costs Kafka a millisecond every time, and the
    process a turn. Kafka may be away.
    """

    def __init__(self, servers: str, *followers: Follower) -> None:
        self._servers = servers
        self._of = {one.topic: one for one in followers}
        self._stopping = Event()
        self._thread = Thread(target=self._follow, name="following", daemon=True)
        self._thread.start()

    @property
    def known(self) -> bool:
        """Whether what stood in the topics when following began is known."""
        return all(one.known for one in self._of.values())

    @property
    def broken(self) -> list[str]:
        """The thread, if it has ended: then no change is heard of any more."""
        return [] if self._thread.is_alive() else [self._thread.name]

    def close(self) -> None:
        """Stop following."""
        self._stopping.set()
        self._thread.join(5)

    def _follow(self) -> None:
        consumer = new_consumer(self._servers, wait_ms=_WAIT_MS)
        try:
            self._learn_leaders(consumer)
            consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING) for topic in self._of])
            while not self._stopping.is_set():
                message = consumer.poll(_TURN_S)
                if message is not None:
                    self._take(message)
        finally:
            consumer.close()

    def _learn_leaders(self, consumer: Consumer) -> None:
        """At once, and not a second later; if Kafka is away, following will find them."""
        try:
            for topic in self._of:
                consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=5)
        except KafkaException as error:
            log.warning("leaders-not-known", error=error.args[0].name())

    def _take(self, message: Message) -> None:
        topic = message.topic()
        try:
            if at_end(message):
                self._of[topic].known = True
            else:
                self._of[topic].change(message.key().decode(), message.value())
        except KafkaException as error:  # the client goes on by itself
            log.warning("following-behind", topic=topic, error=error.args[0].name())
