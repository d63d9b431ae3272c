"""The gateway's way into Kafka: a record is in when every in-sync replica has it, and not before."""

from __future__ import annotations

import asyncio
from threading import Thread
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from hub.stream.records import MAX_BYTES, Output


class KafkaAway(Exception):
    """Nothing is known to be written. Ask again later; a repeat is recognised."""


class Ingest:
    """An idempotent producer with `acks=all`, awaitable per record, bounded in what it holds.

    While Kafka is away `put` fails at once; a thread of ours asks every second whether it is back.
    """

    def __init__(self, servers: str, max_in_flight: int = 2_000, timeout: float = 2.5) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": servers,
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 2,
                "delivery.timeout.ms": int(timeout * 1000),
                "reconnect.backoff.max.ms": 1_000,  # back within a second or two of Kafka, not ten
                "partitioner": "murmur2_random",
                "message.max.bytes": MAX_BYTES,
                "compression.type": "lz4",
                "error_cb": self._on_error,
            }
        )
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._down_since = 0.0
        self._stopping = False
        self._poller = Thread(target=self._poll, name="ingest", daemon=True)
        self._poller.start()

    @property
    def away(self) -> bool:
        """Whether Kafka was away when last heard of."""
        return self._down_since > 0

    async def put(self, output: Output) -> tuple[int, int]:
        """Its partition and offset, when the record is safe. Raises KafkaAway otherwise, or when too much waits."""
        if self._in_flight >= self._max_in_flight:
            raise KafkaAway("too many records wait for Kafka")
        if self.away:
            raise KafkaAway("Kafka does not answer")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[tuple[int, int]] = loop.create_future()

        def report(error: KafkaError | None, message: Any) -> None:
            place = (-1, -1) if error else (message.partition(), message.offset())
            loop.call_soon_threadsafe(self._settle, done, error, place)

        options = {} if output.partition is None else {"partition": output.partition}
        self._in_flight += 1
        try:
            self._producer.produce(
                output.topic, output.value, output.key, headers=output.headers, on_delivery=report, **options
            )
            return await done
        except (BufferError, KafkaException):
            raise KafkaAway("Kafka did not confirm the record") from None
        finally:
            self._in_flight -= 1

    def _settle(
        self, done: asyncio.Future[tuple[int, int]], error: KafkaError | None, place: tuple[int, int]
    ) -> None:
        if error is None:
            self._down_since = 0.0
        elif not self._down_since:
            self._down_since = monotonic()
        if not done.done():
            if error is None:
                done.set_result(place)
            else:
                done.set_exception(KafkaException(error))

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._down_since:
            self._down_since = monotonic()

    def _poll(self) -> None:
        asked = 0.0
        while not self._stopping:
            self._producer.poll(0.1)
            if self.away and monotonic() - asked > 1:
                self.answers(0.5)
                asked = monotonic()

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether Kafka answers now. Blocks up to `timeout` seconds."""
        try:
            self._producer.list_topics(timeout=timeout)
        except KafkaException:
            return False
        self._down_since = 0.0
        return True

    def close(self) -> None:
        """Send what waits, then stop."""
        self._producer.flush(5)
        self._stopping = True
        self._poller.join()
