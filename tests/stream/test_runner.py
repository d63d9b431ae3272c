"""What the loop of every stage does when Kafka cannot be read just as a record is set aside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from hub.delivery.dead_letter import DeadLetter
from hub.journal.entry import entries
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.records import MAX_BYTES, Batch, Fence, Output, Outputs, Positions, Read, singly
from hub.stream.runner import StageRunner
from hub.stream.stage import Entries, dead_letter_outputs
from hub.stream.verdicts import Refused
from tests.stream.copying import letter_of

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
    """Takes every output that is no larger than Kafka takes it."""

    def __init__(self) -> None:
        self.moved: Positions = {}
        self.written: list[Any] = []
        self.done = threading.Event()

    def prepare(self) -> None: ...

    def commit(self, outputs: Sequence[Output | Outputs], positions: Positions, fence: Fence) -> bool:
        for one in singly(outputs):
            headers = sum(len(name) + len(value) for name, value in one.headers)
            if len(one.key) + len(one.value or b"") + headers > MAX_BYTES:
                raise Refused("MessageSizeTooLargeError")
        self.written += outputs
        self.moved |= positions
        self.done.set()
        return True

    async def finish(self, thread: Executor) -> None: ...


async def test_a_record_is_set_aside_on_the_stages_own_thread_and_once_kafka_answers() -> None:
    stage = Stage()
    transactor = await written_by(stage, BATCH)
    assert [one.topic for one in transactor.written] == ["dead-letters"]
    assert transactor.moved == {("raw.x", 0): 8}
    assert stage.threads == ["picky_0", "picky_0"]


class Marking(Stage):
    """As `translate`: beside the dead letter it writes that the record was accepted, and marks what it has seen."""

    def set_aside(self, batch: Batch, reject: Reject) -> list[Output]:
        (record,) = batch.records
        subject = (record.key or b"").decode()
        accepted = Entries(stage="accept", outcome="accepted")
        accepted.add(record, event_id="raw-7", subject=subject)
        letter = letter_of(record, self.name, reject, subject)
        mark = Output(topics.SEEN, b"mark", b"")
        return [*accepted.outputs(batch.place), mark, *dead_letter_outputs(record, letter)]


async def test_a_record_is_set_aside_though_all_that_tells_of_it_is_more_than_kafka_takes() -> None:
    subject = "\x01" * 1_000_000  # in JSON six times as much
    record = Read("raw.x", 0, 7, 0, subject.encode(), b"v" * 1_000_000, [("hub-with-name", b"h" * 1_000_000)])
    transactor = await written_by(Marking(), replace(BATCH, records=[record]))
    assert transactor.moved == {("raw.x", 0): 8}
    kept = lambda topic: [one for one in transactor.written if one.topic == topic]  # noqa: E731
    (letter,) = kept(topics.DEAD_LETTERS)
    told = DeadLetter.from_headers(letter.headers)
    assert (told.topic, told.partition, told.offset, told.reason_class) == ("raw.x", 0, 7, "failed")
    journalled = [entry for one in kept(topics.JOURNAL) for entry in entries(one.value)]
    assert [(one.outcome, one.dead_letter) for one in journalled] == [
        ("accepted", ""),
        ("dead-lettered", told.id),
    ]
    assert all(subject.startswith(one.subject) and one.subject for one in journalled)
    assert len(kept(topics.SEEN)) == 1


# -- for these tests ---------------------------------------------------------------------------------------------


async def written_by(stage: Stage, batch: Batch) -> Transactor:
    """What a worker whose stage is given the batch writes, and lives."""
    transactor = Transactor()
    runner = StageRunner(stage, transactor)  # type: ignore[arg-type]

    async def stream() -> AsyncIterator[Batch]:
        yield batch

    running = asyncio.create_task(runner.run())
    await runner.agent(stream())
    done = asyncio.create_task(asyncio.to_thread(transactor.done.wait, 30))
    await asyncio.wait({running, done}, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        transactor.done.set()
        running.result()
    assert await done
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return transactor
