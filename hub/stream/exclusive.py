"""One writer at a time: whoever opens a name next fences the one before, in the middle of its transaction too."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic, sleep

from confluent_kafka import KafkaError, KafkaException, Producer

from hub.stream.client import reaching
from hub.stream.records import MAX_BYTES, Output

_TIME_LIMIT = 10.0
#: Seconds until a topic that was just made is known to every broker.
_KNOWN_WITHIN_S = 2.0
#: Of a record beside its key, value and headers, and of each header, bytes at most.
_FRAME, _HEADER_FRAME = 64, 10


class ExclusiveWriter:
    """Writes outputs in transactions under one name. Not thread-safe: one thread uses it.

    After an error nothing is known of the last transaction, and the writer is of no more use: close it, open
    another, which ends that transaction one way or the other, and read what is there.
    """

    def __init__(self, servers: str, name: str) -> None:
        """Raises KafkaException while Kafka is away."""
        self._producer = Producer(
            {
                **reaching(servers),
                "transactional.id": name,
                "transaction.timeout.ms": 10_000,
                "linger.ms": 0,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",  # as everywhere: a subject stays in its partition
                "message.max.bytes": MAX_BYTES,
            }
        )
        self._partitions: dict[str, int] = {}
        self._producer.init_transactions(_TIME_LIMIT)

    def check(self, output: Output) -> None:
        """Raises KafkaException for what `write` would fail over every time: too large, or for a topic that is not
        there; or while Kafka is away.
        """
        if _size(output) > MAX_BYTES:
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        if output.topic not in self._partitions:
            self._partitions[output.topic] = self._ask(output.topic)
        if (output.partition or 0) >= self._partitions[output.topic]:
            raise KafkaException(KafkaError(KafkaError._UNKNOWN_PARTITION))

    def _ask(self, topic: str) -> int:
        """How many partitions a topic has; none where it is not there."""
        deadline = monotonic() + _KNOWN_WITHIN_S
        while True:
            partitions = len(self._producer.list_topics(topic, timeout=_TIME_LIMIT).topics[topic].partitions)
            if partitions or monotonic() > deadline:
                return partitions
            sleep(0.05)  # Kafka sends no word of a topic

    def write(self, outputs: Iterable[Output]) -> None:
        """All or none. Raises KafkaException when fenced, or when the outcome is not known."""
        producer = self._producer
        producer.begin_transaction()
        for output in outputs:
            options = {} if output.partition is None else {"partition": output.partition}
            while True:
                try:
                    producer.produce(
                        output.topic, output.value, output.key, headers=output.headers, **options
                    )
                    break
                except BufferError:  # full: wait for the broker, never drop
                    producer.poll(0.1)
        producer.commit_transaction(_TIME_LIMIT)

    def close(self) -> None:
        """Throw away what was not committed."""
        self._producer.purge()


def _size(output: Output) -> int:
    headers = sum(len(name.encode()) + len(value) + _HEADER_FRAME for name, value in output.headers)
    return len(output.key or b"") + len(output.value or b"") + headers + _FRAME


__all__ = ["ExclusiveWriter", "KafkaError", "KafkaException"]
