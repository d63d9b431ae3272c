"""A worker that copies one topic to another: the hub's transport, runner and transactor, and a stage of no merit."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from hub.delivery.dead_letter import DeadLetter
from hub.sdk.errors import Reject
from hub.stream.app import make_app
from hub.stream.committed import committed_offsets
from hub.stream.reading import read_all
from hub.stream.records import Batch, Output, Place, Record
from hub.stream.runner import StageRunner
from hub.stream.stage import dead_letter_outputs
from hub.stream.topics import DEAD_LETTERS, JOURNAL
from hub.stream.transactions import Transactor

Values = list[bytes]


@dataclass
class Copy:
    """Each record goes to the same partition of the target. `work` may hold it up, fail, or make other of it."""

    target: str
    work: Callable[[Record], bytes] = lambda record: record.value or b""
    name: str = "copy"
    pure: bool = True
    linger: float = 0.0
    taken: list[Batch] = field(default_factory=list)

    def process(self, batches: Sequence[Batch]) -> list[Output]:
        self.taken += batches
        return [
            Output(self.target, b"", self.work(record), [], record.partition)
            for batch in batches
            for record in batch.records
        ]

    def set_aside(self, batch: Batch, reject: Reject) -> list[Output]:
        (record,) = batch.records
        return dead_letter_outputs(record, letter_of(record, self.name, reject))

    def forget(self, batches: Iterable[Batch]) -> None:
        """Nothing is kept."""


def letter_of(record: Record, stage: str, reject: Reject, subject: str = "") -> DeadLetter:
    """The dead letter of a record, at no time."""
    return DeadLetter(
        stage=stage,
        reason=reject.reason,
        reason_class=reject.kind,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at=0,
        subject=subject,
    )


class Pair:
    """Two topics of `partitions`, made for one test, and the group that copies one to the other."""

    def __init__(self, servers: str, partitions: int = 2, **settings: dict[str, str]) -> None:
        name = uuid.uuid4().hex[:8]
        self.servers = servers
        self.source, self.target, self.group = f"from-{name}", f"to-{name}", f"g-{name}"
        self.partitions = range(partitions)
        self.admin = AdminClient({"bootstrap.servers": servers})
        self.make(self.source, partitions, settings.get("source"))
        self.make(self.target, partitions, settings.get("target"))
        for name in {DEAD_LETTERS, JOURNAL} - set(self.admin.list_topics(timeout=30).topics):
            self.make(name, 1)

    def make(self, topic: str, partitions: int, settings: dict[str, str] | None = None) -> None:
        """Make a topic."""
        self.admin.create_topics([NewTopic(topic, partitions, 1, config=settings or {})])[topic].result(30)

    def feed(
        self,
        values: Iterable[bytes],
        partition: int = 0,
        key: Callable[[bytes], bytes | None] = lambda _: None,
    ) -> None:
        """Append to the source, some ten records to a record batch."""
        settings = {"linger.ms": 1, "batch.num.messages": 10, "enable.idempotence": True}
        producer = Producer({"bootstrap.servers": self.servers, **settings})
        for value in values:
            while True:
                try:
                    producer.produce(self.source, value, key(value), partition)
                    break
                except BufferError:
                    producer.poll(0.1)
        assert producer.flush(60) == 0

    def copied(self, partition: int = 0) -> Values:
        """What is committed in the target."""
        return [message.value() for message in read_all(self.servers, self.target, partition)]

    def letters(self) -> list[Any]:
        """Dead letters of this source, as messages."""
        parts = self.admin.list_topics(DEAD_LETTERS, timeout=30).topics[DEAD_LETTERS].partitions
        found = [one for part in parts for one in read_all(self.servers, DEAD_LETTERS, part)]
        return [one for one in found if dict(one.headers())["hub-dl-topic"] == self.source.encode()]

    def caught_up(self) -> bool:
        """Whether the group is at the end; not, while a broker that has come back does not know yet."""
        try:
            return self.lag() == 0
        except KafkaException:
            return False

    def lag(self) -> int:
        """How far the group is behind the end of the source, markers counted."""
        places = [(self.source, part) for part in self.partitions]
        at = committed_offsets(self.servers, self.group, places)
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": "lag"})
        try:
            ends = {
                place: consumer.get_watermark_offsets(TopicPartition(*place), timeout=30)[1]
                for place in places
            }
        finally:
            consumer.close()
        return sum(ends[place] - at[place] for place in places)

    def ends(self) -> dict[Place, int]:
        """Where the group is."""
        return dict(
            committed_offsets(self.servers, self.group, [(self.source, part) for part in self.partitions])
        )


class Running:
    """A copying worker that runs."""

    def __init__(self, app: Any, stage: Copy, run: StageRunner) -> None:
        self.app = app
        self.stage = stage
        self.run = run
        self.task = asyncio.create_task(run.run())
        self.begun = 0

    @property
    def thread(self) -> Any:
        return self.app.consumer._thread


@asynccontextmanager
async def copying(
    pair: Pair,
    folder: Path,
    work: Callable[[Record], bytes] | None = None,
    transactor: Transactor | None = None,
) -> AsyncIterator[Running]:
    """A worker for the length of the block, from its first assignment on."""
    stage = Copy(pair.target, work) if work else Copy(pair.target)
    name = uuid.uuid4().hex[:8]
    runner = StageRunner(stage, transactor or Transactor(pair.servers, f"copy-{name}"))
    app = make_app(pair.servers, folder / name, {runner: [pair.source]}, pair.group)
    begun = asyncio.Event()
    running = Running(app, stage, runner)

    async def positioned(_: Any) -> None:
        running.begun += 1
        begun.set()

    app.on_positioned = positioned
    await app.start()
    try:
        await asyncio.wait_for(begun.wait(), 30)
        yield running
        if running.task.done():
            running.task.result()
    finally:
        running.task.cancel()
        await asyncio.gather(running.task, return_exceptions=True)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(app.stop(), 10)


async def until(check: Callable[[], object], timeout: float = 30, running: Sequence[Running] = ()) -> None:
    """Wait until `check` holds, asked in a thread, so that it may block; fails when a worker dies meanwhile."""
    deadline = asyncio.get_running_loop().time() + timeout
    while not await asyncio.to_thread(check):
        for one in running:
            if one.task.done():
                one.task.result()
        assert asyncio.get_running_loop().time() < deadline, "it never came about"
        await asyncio.sleep(0.05)
