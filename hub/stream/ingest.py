"""The gateway's way into Kafka: a record is in when every in-sync replica has it, and not before."""

from __future__ import annotations

import asyncio
from threading import Event, Thread
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from hub.stream import topics
from hub.stream.client import reaching
from hub.stream.records import MAX_BYTES, Output


class KafkaAway(Exception):
    """Nothing is known to be written. Ask again later; a repeat is recognised."""


class Ingest:
    """An idempotent producer with `acks=all`, awaitable per record, bounded in what it holds.

    A thread of ours asks every second whether Kafka is there, so that it is known before anybody waits for it.
    While it is away `put` fails at once.
    """

    def __init__(self, servers: str, max_in_flight: int = 2_000, timeout: float = 2.5) -> None:
        self._producer = Producer(
            {
                **reaching(servers),
                "enable.idempotence": True,
                "acks": "all",
                "linger.ms": 3,  # each record waits for it, and a request costs Kafka as much as ten records
                "delivery.timeout.ms": int(timeout * 1000),
                "partitioner": "murmur2_random",
                "message.max.bytes": MAX_BYTES,
                "compression.type": "lz4",
                "error_cb": self._on_error,
            }
        )
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._down_since = 0.0
        self._timeout = timeout
        self._stopping = Event()
        self._threads = [
            Thread(target=run, name=name, daemon=True)
            for name, run in (("ingest", self._poll), ("ingest-asks", self._ask))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def away(self) -> bool:
        """Whether Kafka was away when last heard of."""
        return self._down_since > 0

    @property
    def broken(self) -> list[str]:
        """Threads that have ended, without which no record is ever confirmed."""
        return [thread.name for thread in self._threads if not thread.is_alive()]

    @property
    def in_flight(self) -> int:
        """Records that wait for Kafka."""
        return self._in_flight

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
            async with asyncio.timeout(
                self._timeout + 1
            ):  # the client's own limit, but for a client that is stuck
                return await done
        except (BufferError, KafkaException, TimeoutError):
            raise KafkaAway("Kafka did not confirm the record") from None
        finally:
            self._in_flight -= 1

    def _settle(
        self, done: asyncio.Future[tuple[int, int]], error: KafkaError | None, place: tuple[int, int]
    ) -> None:
        if error is None:
            self._down_since = 0.0
        else:
            self._lost()
        if not done.done():
            if error is None:
                done.set_result(place)
            else:
                done.set_exception(KafkaException(error))

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._lost()

    def _lost(self) -> None:
        if not self._down_since:
            self._down_since = monotonic()

    def _poll(self) -> None:
        # What makes the producer refuse all from now on is raised here, and to no callback told: so `broken` has it.
        while not self._stopping.is_set():
            self._producer.poll(0.1)

    def _ask(self) -> None:
        asked_in_vain = 0
        while not self._stopping.wait(1.0):
            asked_in_vain = 0 if self.answers() else asked_in_vain + 1
            if not asked_in_vain:
                self._down_since = 0.0
            elif asked_in_vain > 1:  # once may be one broker of several, which the next is asked in place of
                self._lost()

    def answers(self, timeout: float = 1.0) -> bool:
        """Whether Kafka answers now. Blocks up to `timeout` seconds."""
        try:
            self._producer.list_topics(topics.WORKERS, timeout=timeout)
        except KafkaException:
            return False
        return True

    def close(self) -> None:
        """Send what waits, then stop."""
        self._producer.flush(5)
        self._stopping.set()
        for thread in self._threads:
            thread.join()
