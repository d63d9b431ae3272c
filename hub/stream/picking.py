"""Reading single records by their places, many of them, mostly in the order of the log."""

from __future__ import annotations

from collections import OrderedDict, deque
from time import monotonic

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from hub.stream.ingest import KafkaAway
from hub.stream.reading import Message, at_end, bounds, new_consumer

#: Records to read on over rather than to begin anew.
_NEAR = 1_000

#: Partitions that are kept open at once.
_OPEN = 8

#: How long a record that should be there is waited for, seconds.
_PATIENCE = 10.0


class Picker:
    """Reads records at places; quick where those of a partition follow each other.

    Not thread-safe: one thread uses it.
    """

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._open: OrderedDict[tuple[str, int], _Reader] = OrderedDict()

    def pick(self, topic: str, partition: int, offset: int) -> Message | None:
        """The record at an offset, or None where it is gone. Raises KafkaException."""
        place = (topic, partition)
        reader = self._open.pop(place, None)
        if reader is None or not reader.next <= offset <= reader.next + _NEAR:
            if reader is not None:
                reader.close()
            while len(self._open) >= _OPEN:
                self._open.popitem(last=False)[1].close()
            reader = _Reader(self._servers, topic, partition, offset)
        self._open[place] = reader
        return reader.read(offset)

    def close(self) -> None:
        """Close the connections; a later `pick` opens them again."""
        while self._open:
            self._open.popitem()[1].close()


class _Reader:
    """Reads one partition, forward only.

    A consumer that is sent elsewhere may still hand out what it had fetched where it was, and say that it is at
    an end where it no longer stands. So each begins once.
    """

    def __init__(self, servers: str, topic: str, partition: int, offset: int) -> None:
        self.next = offset
        self._place = servers, topic, partition
        self._read: deque[Message] = deque()
        self._consumer: Consumer = new_consumer(servers, ahead_kb=1_024)
        # Asking first has the client learn the partition's leader at once, and not a second later.
        place = TopicPartition(topic, partition, offset)
        self._consumer.get_watermark_offsets(place, timeout=30)
        self._consumer.assign([place])

    def read(self, offset: int) -> Message | None:
        """The record at `offset`, which is `next` or later; None where it is gone. Raises KafkaException."""
        until = monotonic() + _PATIENCE
        while monotonic() < until:
            if not self._read:
                self._read.extend(self._consumer.consume(500, timeout=0.02))
                continue
            message = self._read.popleft()
            if at_end(message):
                if message.offset() > offset:
                    return None
            elif message.offset() > offset:
                self._read.appendleft(message)
                self.next = message.offset()
                return None
            else:
                self.next = message.offset() + 1
                if message.offset() == offset:
                    return message
        # Its leader may be slow, or a transaction before it open: only where the log ends says that it is gone.
        if offset < bounds(*self._place)[1]:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return None

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()


def read_one(servers: str, topic: str, partition: int, offset: int) -> Message | None:
    """The record at an offset, or None where it is gone. Raises KafkaAway."""
    picker = Picker(servers)
    try:
        return picker.pick(topic, partition, offset)
    except KafkaException:
        raise KafkaAway("Kafka does not answer") from None
    finally:
        picker.close()
