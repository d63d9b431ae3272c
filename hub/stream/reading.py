"""Reading topics outside the group: a whole partition, or what came in a time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any, Protocol

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from hub.stream.client import reaching
from hub.stream.progress import moved, waits_for

_PATIENCE_S = 30.0
#: Seconds without a record, although there are more, after which the reader is said to wait.
_QUIET_S = 5.0
#: What is said of a partition that was just made, or whose leader is just changing.
_PASSING = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError._UNKNOWN_PARTITION,
    }
)

Message = Any  # confluent_kafka.Message, which is untyped


class Log(Protocol):
    """Partitions that can be read: Kafka's, or in tests some in memory."""

    def read(self, topic: str, partition: int, start: int = 0) -> Iterator[Message]:
        """Every committed record of a partition as it stands now, oldest first, from an offset on."""

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset and the one after the last."""


class KafkaLog:
    """Kafka as a `Log`. Both raise KafkaException."""

    def __init__(self, servers: str) -> None:
        self._servers = servers

    def read(self, topic: str, partition: int, start: int = 0) -> Iterator[Message]:
        """See `read_all`."""
        return read_all(self._servers, topic, partition, start)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """See `bounds`."""
        return bounds(self._servers, topic, partition)


def new_consumer(
    servers: str, isolation: str = "read_committed", ahead_kb: int = 8_192, wait_ms: int = 50
) -> Consumer:
    """A consumer outside any group that reads what is committed, and says when it is at the end.

    `ahead_kb` is how much it may hold of what was not asked for yet; `wait_ms` how long Kafka keeps it waiting at
    the end before it says so. What comes meanwhile comes at once.
    """
    return Consumer(
        {
            **reaching(servers),
            "group.id": "hub-reading",  # required by the client; nothing is ever committed under it
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "queued.max.messages.kbytes": ahead_kb,
            "fetch.wait.max.ms": wait_ms,
        }
    )


def read_all(servers: str, topic: str, partition: int, start: int = 0) -> Iterator[Message]:
    """Every committed record of a partition as it stands now, oldest first, from an offset on. Raises
    KafkaException.

    A transaction that is being finished at this moment counts: its end is awaited. Without that, what a worker
    committed just before it died could be missed, since Kafka writes the markers after it has answered.
    """
    low, high = bounds(servers, topic, partition)
    start = max(low, start)
    if start >= high:
        return
    consumer, told = new_consumer(servers), False
    try:
        # Asking first has the client learn the partition's leader at once, and not a second later.
        consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
        consumer.assign([TopicPartition(topic, partition, start)])
        quiet_since = monotonic()
        while True:
            found = consumer.consume(10_000, timeout=0.02)
            if found:
                moved()  # whoever reads a whole partition has much to read at times, and is not stuck
                quiet_since = monotonic()
                if told:
                    told = False
                    waits_for("")
            elif not told and monotonic() - quiet_since > _QUIET_S:
                told = True
                waits_for(
                    f"{topic}/{partition} gives nothing more, and has more: its leader is away, or a transaction does"
                    " not end (kafka-transactions.sh find-hanging)"
                )
            for message in found:
                if not at_end(message):
                    yield message
                elif message.offset() >= high:
                    return
    finally:
        consumer.close()
        if told:
            waits_for("")


def read_between(
    servers: str, topic: str, since: float, until: float, wanted: Callable[[Message], bool]
) -> list[Message]:
    """Committed records of a topic that Kafka took from `since` until before `until` (epoch seconds).

    Oldest first, as far as the clocks of those who wrote them agree; in the order of the log per partition in
    any case. Raises KafkaException.
    """
    found: dict[int, list[Message]] = {}
    consumer = new_consumer(servers)
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        asked = [TopicPartition(topic, part, int(since * 1000)) for part in partitions]
        starts = [at for at in consumer.offsets_for_times(asked, timeout=30) if at.offset >= 0]
        unread = {at.partition: consumer.get_watermark_offsets(at, timeout=30)[1] for at in starts}
        consumer.assign(starts)
        while unread:
            for message in consumer.consume(10_000, timeout=0.02):
                part = message.partition()
                if at_end(message) or message.offset() >= unread.get(part, 0):
                    unread.pop(part, None)
                elif part in unread and _taken(message) < until and wanted(message):
                    found.setdefault(part, []).append(message)
        return list(heapq.merge(*found.values(), key=_taken))
    finally:
        consumer.close()


def _taken(message: Message) -> float:
    return float(message.timestamp()[1]) / 1000


def bounds(servers: str, topic: str, partition: int) -> tuple[int, int]:
    """The first offset and the one after the last, open transactions included."""
    consumer = new_consumer(servers, "read_uncommitted")
    deadline = monotonic() + _PATIENCE_S
    try:
        while True:
            try:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)
                return int(low), int(high)
            except KafkaException as error:
                if error.args[0].code() not in _PASSING or monotonic() > deadline:
                    raise
                sleep(0.05)  # until the topic's leader is chosen, of which Kafka sends no word
    finally:
        consumer.close()


def at_end(message: Message) -> bool:
    """Whether this is no record but the word that there are no more. Raises KafkaException for other words.

    The position would not tell: it stops before the marker of the last transaction.
    """
    error = message.error()
    if error is None:
        return False
    if error.code() == KafkaError._PARTITION_EOF:
        return True
    raise KafkaException(error)
