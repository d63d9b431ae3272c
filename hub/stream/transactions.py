"""The one step that moves offsets: outputs and positions in one Kafka transaction, fenced by the group."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from itertools import count
from threading import Event

import structlog
from confluent_kafka import KafkaException
from kafka.errors import InvalidTimestampError, KafkaError

from hub.stream.committed import Committed, read_committed
from hub.stream.producer import Producer
from hub.stream.progress import waits_for
from hub.stream.records import Fence, Output, Outputs, Place, Positions
from hub.stream.verdicts import Outrun

log = structlog.get_logger()

#: After so many tries of one commit its failing is an error: by then it is not a broker that restarts.
_LOUD_AFTER = 5


def open_producer(servers: str, name: str) -> Producer:
    """A transactional producer; what the one before of this name left open is ended. Raises KafkaError."""
    producer = Producer(servers, name)
    try:
        producer.open()
    except KafkaError:
        producer.close()
        raise
    return producer


def go_back(servers: str, positions: Positions, fence: Fence) -> None:
    """Move the group to `positions`, behind which it is. Raises Outrun and KafkaError."""
    producer = open_producer(servers, f"{fence.group}-back-{secrets.token_hex(8)}")
    try:
        producer.write([], positions, "", fence)
    finally:
        producer.close()


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
        except KafkaError:
            self.close()

    def commit(self, outputs: Sequence[Output | Outputs], positions: Positions, fence: Fence) -> bool:
        """Write `outputs` and move the group to `positions`, both or neither.

        True when committed. False when the group has moved on without us, or when we are to stop: whoever holds
        the partitions next reads the same records again. Blocks, retrying, while Kafka is away or the hub may
        not write. Raises Refused.
        """
        if fence.generation < 0:
            return False  # Kafka takes it for somebody outside all groups, and lets it move what it likes
        self._mark = next(self._marks)

        def attempt(again: bool) -> bool:
            if again and self._landed(positions, fence):
                return True
            return self._attempt(outputs, positions, fence)

        return self._persist(attempt)

    def rehearse(self, outputs: Sequence[Output | Outputs]) -> None:
        """Learn whether Kafka takes `outputs`: they are written, and taken back.

        Blocks, retrying, while Kafka is away; returns, too, when we are to stop. Raises Refused.
        """

        def attempt(again: bool) -> bool:
            self._open().rehearse(outputs)
            return True

        self._persist(attempt)

    def _persist(self, attempt: Callable[[bool], bool]) -> bool:
        """What `attempt` gives, tried until Kafka answers; it is told whether it was tried before. False on stop."""
        tries = 0
        try:
            while not self._stopping.is_set():
                try:
                    return attempt(tries > 0)
                except (KafkaError, KafkaException) as error:
                    tell = log.error if tries >= _LOUD_AFTER else log.warning
                    tell("transaction-retried", error=named(error), tries=tries, transactor=self._name)
                    waits_for(f"Kafka takes no transaction ({named(error)})")
                self.close()
                self._stopping.wait(min(0.1 * 2**tries, 5.0))
                tries += 1
            return False
        finally:
            if tries:
                waits_for("")

    async def finish(self, thread: Executor, timeout: float = 5) -> None:
        """Let a commit under way on `thread` end, within reason, then close."""
        self._stopping.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await asyncio.to_thread(thread.shutdown)
                self.close()

    def _attempt(self, outputs: Sequence[Output | Outputs], positions: Positions, fence: Fence) -> bool:
        try:
            self._open().write(outputs, positions, self._mark, fence)
        except Outrun:
            log.info("batch-left-to-another-worker", generation=fence.generation, transactor=self._name)
            return False
        return True

    def _landed(self, positions: Positions, fence: Fence) -> bool:
        """Whether the last attempt did commit. Raises KafkaError or KafkaException while that cannot be known.

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
            self._producer.close()
            self._producer = None


def named(error: KafkaError | KafkaException) -> str:
    """What went wrong, in Kafka's words."""
    if isinstance(error, InvalidTimestampError):
        return (
            "InvalidTimestampError: is the clock here right?"
            " Kafka takes none that is an hour ahead of its own, or far behind"
        )
    return str(error.args[0].name()) if isinstance(error, KafkaException) else type(error).__name__
