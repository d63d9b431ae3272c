"""The one step that moves offsets: outputs and positions in one Kafka transaction, fenced by the group."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Event
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from hub.stream.committed import committed_offsets
from hub.stream.records import Fence, Output, Positions

log = structlog.get_logger()

#: Of each call, seconds; after it the producer is made anew and the outcome is looked up.
_TIME_LIMIT = 10.0

SETTINGS: Mapping[str, Any] = {
    "enable.idempotence": True,
    "reconnect.backoff.max.ms": 1_000,
    "linger.ms": 50,  # until the commit, which sends what is there at once
    "compression.type": "lz4",
    "partitioner": "murmur2_random",
    "message.max.bytes": 2 << 20,
    "queue.buffering.max.messages": 200_000,
    "queue.buffering.max.kbytes": 262_144,
}
"""Of every producer of a stage: bounded, so that a full buffer slows the reading."""

_BY_KEY = -1  # librdkafka's partition for "let the key decide"

_NOT_US_ANY_MORE = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
    }
)


class Transactor:
    """A transactional producer that survives errors. Not thread-safe: one thread uses it.

    `name` must be unique among the living; a new holder of a name fences the one before.
    """

    def __init__(self, servers: str, name: str) -> None:
        self.servers = servers
        self._name = name
        self._producer: Producer | None = None
        self._stopping = Event()

    def prepare(self) -> None:
        """Open the producer ahead of the first commit. Kafka being away is no matter: the commit will wait."""
        try:
            self._open()
        except KafkaException:
            self.close()

    def commit(self, outputs: Sequence[Output], positions: Positions, fence: Fence) -> bool:
        """Write `outputs` and move the group to `positions`, both or neither.

        True when committed. False when the group has moved on without us, or when we are to stop: whoever holds
        the partitions next reads the same records again. Blocks, retrying, while Kafka is away.
        """
        if fence.generation < 0:
            return False  # Kafka takes it for somebody outside all groups, and lets it move what it likes
        pause = 0.1
        while not self._stopping.is_set():
            try:
                return self._attempt(outputs, positions, fence)
            except KafkaException as error:
                log.warning("transaction-retried", error=error.args[0].name(), transactor=self._name)
            self.close()
            self._stopping.wait(pause)
            pause = min(pause * 2, 5.0)
            if self._landed(positions, fence):
                return True
        return False

    async def finish(self, thread: ThreadPoolExecutor, timeout: float = 5) -> None:
        """Let a commit under way on `thread` end, within reason, then close."""
        self._stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await asyncio.to_thread(thread.shutdown)
                self.close()

    def _attempt(self, outputs: Iterable[Output], positions: Positions, fence: Fence) -> bool:
        producer = self._open()
        producer.begin_transaction()
        produce(producer, outputs)
        offsets = [TopicPartition(topic, part, offset) for (topic, part), offset in positions.items()]
        try:
            _bounded(lambda: producer.send_offsets_to_transaction(offsets, group_metadata(fence), _TIME_LIMIT))
        except KafkaException as error:
            if error.args[0].code() not in _NOT_US_ANY_MORE:
                raise
            producer.abort_transaction(_TIME_LIMIT)
            log.info("batch-left-to-another-worker", generation=fence.generation, transactor=self._name)
            return False
        producer.commit_transaction(_TIME_LIMIT)
        return True

    def _landed(self, positions: Positions, fence: Fence) -> bool:
        """Whether a transaction of unknown outcome did commit. Opening a producer of its name ends it first."""
        try:
            self._open()
            there = committed_offsets(self.servers, fence.group, list(positions))
        except KafkaException:
            self.close()
            return False
        return all(there[place] >= offset for place, offset in positions.items())

    def _open(self) -> Producer:
        if self._producer is None:
            producer = Producer(
                {
                    **SETTINGS,
                    "bootstrap.servers": self.servers,
                    "transactional.id": self._name,
                    "transaction.timeout.ms": 10_000,
                }
            )
            producer.init_transactions(_TIME_LIMIT)
            self._producer = producer
        return self._producer

    def close(self) -> None:
        """Throw the producer away; what it had not committed is aborted by the next of its name."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None


def _bounded(call):
    from threading import Thread

    result = []

    def run():
        try:
            call()
            result.append(None)
        except KafkaException as error:
            result.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(_TIME_LIMIT + 2)
    if not result:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
    if result[0] is not None:
        raise result[0]


def produce(producer: Producer, outputs: Iterable[Output]) -> None:
    """Hand `outputs` to librdkafka, waiting while its buffer is full."""
    hand_over = producer.produce
    for output in outputs:
        partition = _BY_KEY if output.partition is None else output.partition
        while True:
            try:
                hand_over(output.topic, output.value, output.key, partition, headers=output.headers)
                break
            except BufferError:  # full: wait for the broker, never drop
                producer.poll(0.1)


def group_metadata(fence: Fence) -> bytes:
    """Consumer group metadata in librdkafka's own serialised form (2.16: `CGMDv2`).

    Not a public interface: a test compares it with what librdkafka makes itself.
    """
    return (
        b"CGMDv2:"
        + struct.pack("<i", fence.generation)
        + fence.group.encode()
        + b"\0"
        + fence.member_id.encode()
        + b"\0\x01"
    )
