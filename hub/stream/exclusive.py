"""One writer at a time: whoever opens a name next fences the one before, in the middle of its transaction too."""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import KafkaException, Producer

from hub.stream.client import reaching
from hub.stream.records import MAX_BYTES, Output

_TIME_LIMIT = 10.0


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
        self._producer.init_transactions(_TIME_LIMIT)

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


__all__ = ["ExclusiveWriter", "KafkaException"]
