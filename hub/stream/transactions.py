"""The one step that moves offsets: outputs and positions in one Kafka transaction, fenced by the group."""

from __future__ import annotations

import asyncio
import secrets
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from itertools import count
from threading import Event
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from hub.stream import bounded
from hub.stream.committed import Committed, read_committed
from hub.stream.records import MAX_BYTES, Fence, Output, Place, Positions

log = structlog.get_logger()

#: Of each call, seconds; after it the producer is made anew and the outcome is looked up.
_TIME_LIMIT = 10.0

#: Of the call that asks the group's coordinator, likewise; it needs little, and at times does not come back.
_OFFSETS_LIMIT = 4.0

#: After so many tries of one commit its failing is an error: by then it is not a broker that restarts.
_LOUD_AFTER = 5

SETTINGS: Mapping[str, Any] = {
    "enable.idempotence": True,
    "reconnect.backoff.max.ms": 1_000,
    "linger.ms": 50,  # until the commit, which sends what is there at once
    "retry.backoff.ms": 2,  # while Kafka still marks the end of the transaction before, a matter of milliseconds
    "compression.type": "lz4",
    "partitioner": "murmur2_random",
    "message.max.bytes": MAX_BYTES,
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

_NEVER = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
    }
)
"""What is wrong with a record, and not with the world. Rights and missing topics are: those get mended."""


class Refused(Exception):
    """Kafka will never take one of the outputs; nothing is written, nothing moved. `kind` is why, in its words."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def open_producer(servers: str, name: str) -> Producer:
    """A transactional producer; what the one before of this name left open is ended. Raises KafkaException."""
    producer = Producer(
        {**SETTINGS, "bootstrap.servers": servers, "transactional.id": name, "transaction.timeout.ms": 10_000}
    )
    producer.init_transactions(_TIME_LIMIT)
    return producer


class Transactor:
    """A transactional producer that survives errors. Not thread-safe: one thread uses it.

    `name` must be unique among the living; a new holder of a name fences the one before. How a producer is
    opened, how committed offsets are read and what is waited on between two tries can be given.
    """

    def __init__(
        self,
        servers: str,
        name: str,
        opened: Callable[[str, str], Producer] = open_producer,
        committed: Callable[[str, str, Sequence[Place]], Mapping[Place, Committed]] = read_committed,
        stopping: Event | None = None,
    ) -> None:
        self.servers = servers
        self._name = name
        self._opened = opened
        self._committed = committed
        self._producer: Producer | None = None
        self._stopping = stopping or Event()
        self._marks = (f"{name}-{secrets.token_hex(4)}-{number}" for number in count())
        self._mark = ""

    def prepare(self) -> None:
        """Open the producer ahead of the first commit. Kafka being away is no matter: the commit will wait."""
        try:
            self._open()
        except KafkaException:
            self.close()

    def commit(self, outputs: Sequence[Output], positions: Positions, fence: Fence) -> bool:
        """Write `outputs` and move the group to `positions`, both or neither.

        True when committed. False when the group has moved on without us, or when we are to stop: whoever holds
        the partitions next reads the same records again. Blocks, retrying, while Kafka is away or the hub may
        not write. Raises Refused.
        """
        if fence.generation < 0:
            return False  # Kafka takes it for somebody outside all groups, and lets it move what it likes
        self._mark = next(self._marks)
        tries = 0
        while not self._stopping.is_set():
            try:
                if tries and self._landed(positions, fence):
                    return True
                return self._attempt(outputs, positions, fence)
            except KafkaException as error:
                tell = log.error if tries >= _LOUD_AFTER else log.warning
                tell("transaction-retried", error=error.args[0].name(), tries=tries, transactor=self._name)
            self.close()
            self._stopping.wait(min(0.1 * 2**tries, 5.0))
            tries += 1
        return False

    async def finish(self, thread: Executor, timeout: float = 5) -> None:
        """Let a commit under way on `thread` end, within reason, then close."""
        self._stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await asyncio.to_thread(thread.shutdown)
                self.close()

    def _attempt(self, outputs: Iterable[Output], positions: Positions, fence: Fence) -> bool:
        producer = self._open()
        offsets = [TopicPartition(*place, offset, self._mark) for place, offset in positions.items()]
        producer.begin_transaction()
        try:
            produce(producer, outputs)
            bounded.calls.within(
                _OFFSETS_LIMIT + 1,
                lambda: producer.send_offsets_to_transaction(offsets, group_metadata(fence), _OFFSETS_LIMIT),
            )
            producer.commit_transaction(_TIME_LIMIT)
        except (TypeError, ValueError) as error:  # of the client: a header that is no text, say
            producer.abort_transaction(_TIME_LIMIT)
            raise Refused(type(error).__name__) from error
        except KafkaException as error:
            code = error.args[0].code()
            if code not in _NOT_US_ANY_MORE and code not in _NEVER:
                raise
            producer.abort_transaction(_TIME_LIMIT)
            if code in _NEVER:
                raise Refused(error.args[0].name()) from None
            log.info("batch-left-to-another-worker", generation=fence.generation, transactor=self._name)
            return False
        return True

    def _landed(self, positions: Positions, fence: Fence) -> bool:
        """Whether the last attempt did commit. Raises KafkaException while that cannot be known.

        Told by its mark and not by the offsets: a commit may be made to be fenced, and move none.
        """
        self._open()  # which ends the transaction of that name, one way or the other
        there = self._committed(self.servers, fence.group, list(positions))
        return any(there[place].mark == self._mark for place in positions if place in there)

    def _open(self) -> Producer:
        if self._producer is None:
            self._producer = self._opened(self.servers, self._name)
        return self._producer

    def close(self) -> None:
        """Throw the producer away; what it had not committed is aborted by the next of its name."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None


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
