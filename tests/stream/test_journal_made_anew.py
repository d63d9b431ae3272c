"""A journal that was dropped is read again from the start, whoever dies or comes while that has only begun."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from hub.journal.entry import Entry
from hub.journal.store import Journal
from hub.stream import topics
from hub.stream.app import GROUP, make_app
from hub.stream.broker.embedded import EmbeddedBroker
from hub.stream.committed import committed_offsets
from hub.stream.journalling import EmptyError, Journalling
from hub.stream.records import NOBODY, Batch, Output, Read
from hub.stream.runner import StageRunner
from hub.stream.stage import journal_output
from hub.stream.transactions import Transactor
from tests.stream.copying import until

PARTITIONS = 4


class Hanging(Journalling):
    """Writes one batch, and never comes to commit it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.wrote, self.end = threading.Event(), threading.Event()

    def process(self, batches: Sequence[Batch]) -> list[Output]:
        super().process(batches[:1])
        self.wrote.set()
        self.end.wait(60)
        return []


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[str]:
    """With one entry in each partition, and a group of its own for the journal."""
    with EmbeddedBroker(tmp_path / "kafka") as broker:
        asked = [NewTopic(topics.JOURNAL, PARTITIONS, 1), NewTopic(topics.DEAD_LETTERS, PARTITIONS, 1)]
        admin = AdminClient({"bootstrap.servers": broker.address})
        for made in admin.create_topics(asked).values():
            made.result(30)
        producer = Producer({"bootstrap.servers": broker.address})
        for part in range(PARTITIONS):
            producer.produce(topics.JOURNAL, journal_output(entry(part)).value, partition=part)
        assert producer.flush(30) == 0
        yield broker.address


def entry(number: int) -> Entry:
    return Entry(at=number, stage="route", outcome="routed", event_id=f"event-{number}")


@asynccontextmanager
async def journalling(kafka: str, folder: Path, name: str, stage: Journalling) -> AsyncIterator[Any]:
    """A worker for the length of the block, which then dies: it commits nothing more."""
    runner = StageRunner(stage, Transactor(kafka, f"hub-{name}-journal"))
    app = make_app(kafka, folder / name, {runner: [topics.JOURNAL, topics.DEAD_LETTERS]})
    app.unread, app.went_back = stage.unread, stage.begin
    began = asyncio.Event()

    async def positioned(_: Any) -> None:
        began.set()

    app.on_positioned = positioned
    await app.start()
    running = asyncio.create_task(runner.run())
    try:
        await asyncio.wait_for(began.wait(), 60)
        yield running
    finally:
        if isinstance(stage, Hanging):
            stage.end.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(app.stop(), 10)


def written(path: Path) -> int:
    journal = Journal.open(path)
    with journal._database.reading() as connection:
        count: int = connection.exec_driver_sql("SELECT count(*) FROM steps").scalar() or 0
    journal.close()
    return count


@pytest.mark.asyncio
async def test_one_that_dies_or_shares_while_it_has_only_begun_leaves_nothing_out(
    kafka: str, tmp_path: Path
) -> None:
    path = tmp_path / "first.db"
    async with journalling(kafka, tmp_path, "first", Journalling(path)):
        places = [(topics.JOURNAL, part) for part in range(PARTITIONS)]
        await until(lambda: all(at > 0 for at in committed_offsets(kafka, GROUP, places).values()))
    path = tmp_path / "anew.db"
    hanging = Hanging(path)
    async with journalling(kafka, tmp_path, "dies", hanging):
        assert await asyncio.to_thread(hanging.wrote.wait, 60)
        assert 0 < written(path) < PARTITIONS
        async with journalling(kafka, tmp_path, "comes", Journalling(path)):
            pass
    async with journalling(kafka, tmp_path, "last", Journalling(path)) as running:
        await until(lambda: running.done() or written(path) == PARTITIONS, 60)
        assert not running.done()


def test_one_that_is_dropped_beneath_a_worker_ends_it(tmp_path: Path) -> None:
    stage = Journalling(tmp_path / "journal.db")
    value = journal_output(entry(0)).value
    batch = Batch(topics.JOURNAL, 0, [Read(topics.JOURNAL, 0, 7, 0, b"", value, [])], NOBODY)
    with pytest.raises(EmptyError):
        stage.process([batch])
    assert stage.unread([batch.place, ("events.payments", 0)]) == {batch.place}
    stage.begin([batch.place])
    stage.process([batch])
    assert stage.unread([batch.place, (topics.JOURNAL, 1)]) == {(topics.JOURNAL, 1)}
