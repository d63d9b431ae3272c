"""The journal stage: a backlog takes as long as it takes, what its database refuses costs only itself, and a database
that is of no use is waited for."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest
from structlog.testing import capture_logs

from hub.delivery.dead_letter import DeadLetter
from hub.journal.entry import Entry
from hub.journal.queries import Queries
from hub.stream import topics
from hub.stream.journalling import EmptyError, Journalling
from hub.stream.progress import Progress
from hub.stream.records import NOBODY, Batch, Fence, Output, Positions, Read
from hub.stream.runner import StageRunner
from hub.stream.stage import journal_output, journal_outputs
from hub.testing.live import until
from tests.postgres import postgres


class Committed:
    """A transactor that only takes note of how far it was told to go."""

    def __init__(self) -> None:
        self._reached = 0
        self._moved = asyncio.Condition()
        self._loop = asyncio.get_running_loop()

    def prepare(self) -> None: ...

    def commit(self, _outputs: Sequence[Output], positions: Positions, _fence: Fence) -> bool:
        asyncio.run_coroutine_threadsafe(self._move(*positions.values()), self._loop).result()
        return True

    async def _move(self, offset: int) -> None:
        async with self._moved:
            self._reached = offset
            self._moved.notify_all()

    async def up_to(self, offset: int) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._reached == offset)

    async def finish(self, _thread: Executor) -> None: ...


def read(outputs: Iterable[Output]) -> list[Read]:
    return [Read(topics.JOURNAL, 0, at, 0, output.key, output.value, []) for at, output in enumerate(outputs)]


def entries(count: int) -> Batch:
    entry = Entry(at=1.0, stage="route", outcome="routed", event_id="")
    ids = {"event_id": [f"event-{number}" for number in range(count)]}
    return Batch(topics.JOURNAL, 0, read(journal_outputs((topics.JOURNAL, 0), entry, ids)), NOBODY)


def letters(count: int) -> Batch:
    place = {"topic": "raw.govuk_pay", "partition": 0, "at": 0.0}
    every = [DeadLetter(stage="parse", reason="", reason_class="", offset=at, **place) for at in range(count)]  # type: ignore[arg-type]
    records = [Read(topics.DEAD_LETTERS, 0, at, 0, b"", b"", one.headers()) for at, one in enumerate(every)]
    return Batch(topics.DEAD_LETTERS, 0, records, NOBODY)


@pytest.mark.parametrize("batch", [entries(12_000), letters(12_000)], ids=["entries", "letters"])
def test_whoever_watches_it_sees_that_it_gets_on_within_one_transaction(tmp_path: Path, batch: Batch) -> None:
    stage, progress = Journalling(tmp_path / "journal.db"), Progress("journal")
    progress.bind()
    stage.begin([batch.place])
    stage.process([batch])
    assert progress.moves >= 3


def test_a_database_that_does_not_take_so_many_in_one_transaction_is_given_fewer(tmp_path: Path) -> None:
    path, batch = tmp_path / "journal.db", entries(3_000)
    stage = Journalling(path)
    stage.begin([batch.place])
    with sqlite3.connect(path) as other:
        other.execute(
            "CREATE TRIGGER slow BEFORE INSERT ON steps"
            " WHEN (SELECT count(*) FROM steps) - (SELECT coalesce(sum(count), 0) FROM tallies) >= 2600"
            " BEGIN SELECT RAISE(ABORT, 'too many in one transaction'); END"
        )
    Thread(target=stage.process, args=([batch],), daemon=True).start()
    assert until(lambda: Queries(path).counts().outcomes == {"route.routed": 3_000})


def test_one_that_is_no_journal_is_waited_for_and_once_it_is_removed_all_is_read_from_the_start(
    tmp_path: Path,
) -> None:
    path, batch, progress = tmp_path / "journal.db", entries(1), Progress("journal")
    path.write_bytes(b"payload," * 1000)
    with ThreadPoolExecutor(initializer=progress.bind) as thread:
        stage = Journalling(path)
        stage.begin([batch.place])
        processed = thread.submit(stage.process, [batch])
        assert until(lambda: "it is not a journal; remove it" in progress.waits_for)
        path.unlink()
        assert isinstance(processed.exception(30), EmptyError)
    after = Journalling(path)
    assert after.unread([batch.place]) == {batch.place}
    after.begin([batch.place])
    after.process([batch])
    assert Queries(path).counts().outcomes == {"route.routed": 1}


@pytest.mark.asyncio
async def test_a_record_that_the_database_will_never_take_is_passed_over_and_all_others_are_written() -> None:
    about = {"stage": "deliver", "outcome": "delivered", "type": "fee.paid", "subject": "of-ada-lovelace"}
    told = [Entry(at=at, event_id=f"{at}", attempt=1 << 40 if at == 3 else 1, **about) for at in range(5)]
    batch = Batch(topics.JOURNAL, 0, read(map(journal_output, told)), NOBODY)

    async def stream() -> AsyncIterator[Batch]:
        yield batch

    with postgres() as server, capture_logs() as said:
        committed = Committed()
        stage = Journalling(server.url)
        stage.begin([batch.place])
        runner = StageRunner(stage, committed)  # type: ignore[arg-type]
        running = asyncio.create_task(runner.run())
        await runner.agent(stream())
        await asyncio.wait({running, asyncio.create_task(committed.up_to(5))}, return_when="FIRST_COMPLETED")
        assert not running.done(), running.exception()
        running.cancel()
        assert {event.id for event in Queries(server.url).search().items} == {"0", "1", "2", "4"}
    (passed,) = (one for one in said if one["event"] == "journal-passed-over")
    assert (passed["topic"], passed["partition"], passed["offset"]) == (topics.JOURNAL, 0, 3)
    assert "ada" not in str(said)
