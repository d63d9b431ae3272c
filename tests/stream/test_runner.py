"""What the loop of every stage does when Kafka cannot be read just as a record is set aside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import Executor
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from hub.sdk.errors import Reject
from hub.stream.records import Batch, Fence, Output, Outputs, Positions, Read
from hub.stream.runner import StageRunner

BATCH = Batch("raw.x", 0, [Read("raw.x", 0, 7, 0, b"key", b"bad", [])], Fence("hub", 1, "member"))


class Stage:
    """Fails over every record; what it needs to know to set one aside is in Kafka, which answers the second time."""

    name, pure, linger = "picky", True, 0.0

    def __init__(self) -> None:
        self.threads: list[str] = []

    def process(self, batches: Sequence[Batch]) -> Sequence[Output | Outputs]:
        raise ValueError("somebody's data")

    def set_aside(self, batch: Batch, reject: Reject) -> list[Output]:
        self.threads.append(threading.current_thread().name)
        if len(self.threads) == 1:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [Output("dead-letters", b"key", b"bad")]

    def forget(self, batches: Iterable[Batch]) -> None: ...


class Transactor:
    """Takes everything."""

    def __init__(self) -> None:
        self.moved: Positions = {}
        self.written: list[Any] = []
        self.done = threading.Event()

    def prepare(self) -> None: ...

    def commit(self, outputs: Sequence[Output | Outputs], positions: Positions, fence: Fence) -> bool:
        self.written += outputs
        self.moved |= positions
        self.done.set()
        return True

    async def finish(self, thread: Executor) -> None: ...


async def test_a_record_is_set_aside_on_the_stages_own_thread_and_once_kafka_answers() -> None:
    stage, transactor = Stage(), Transactor()
    runner = StageRunner(stage, transactor)  # type: ignore[arg-type]

    async def stream() -> AsyncIterator[Batch]:
        yield BATCH

    running = asyncio.create_task(runner.run())
    await runner.agent(stream())
    assert await asyncio.to_thread(transactor.done.wait, 30)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [one.topic for one in transactor.written] == ["dead-letters"]
    assert transactor.moved == {("raw.x", 0): 8}
    assert stage.threads == ["picky_0", "picky_0"]
