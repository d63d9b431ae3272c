"""A stage: batches in, outputs out, one transaction. The loop that every stage shares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Protocol

import msgspec

from hub.delivery.dead_letter import DeadLetter
from hub.journal.entry import Entry
from hub.stream import topics
from hub.stream.records import Batch, Output, Record, positions_of
from hub.stream.transactions import Transactor

#: Records that one transaction covers at most; more wait for the next.
MAX_RECORDS = 5_000


class Stage(Protocol):
    """One step of an event's way. `process` runs on the stage's own thread and must not raise for bad records."""

    name: str

    def process(self, batch: Batch) -> list[Output]:
        """What comes out of a batch: results, dead letters and journal entries."""

    def forget(self, batches: Iterable[Batch]) -> None:
        """The batches were not committed and will come again, here or elsewhere."""


class StageRunner:
    """Feeds a stage from its agent and commits what it makes."""

    def __init__(self, stage: Stage, transactor: Transactor) -> None:
        self.name = stage.name
        self._stage = stage
        self._transactor = transactor
        self._queue: asyncio.Queue[Batch] = asyncio.Queue(maxsize=16)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=stage.name)

    async def agent(self, stream: AsyncIterable[Batch]) -> None:
        """The Faust agent: it only hands on, and waits when the stage is behind."""
        async for batch in stream:
            await self._queue.put(batch)

    async def run(self) -> None:
        """Process until cancelled. An error that gets here is a bug: it ends the worker, loudly."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._transactor.prepare)
            while True:
                batches = await self._collect()
                await loop.run_in_executor(self._thread, self._step, batches)
        finally:
            await self._transactor.finish(self._thread)

    async def _collect(self) -> list[Batch]:
        """All that waits, up to `MAX_RECORDS`: one event commits at once, a flood commits in bulk."""
        batches = [await self._queue.get()]
        while sum(len(batch.records) for batch in batches) < MAX_RECORDS and not self._queue.empty():
            batches.append(self._queue.get_nowait())
        return batches

    def _step(self, batches: Sequence[Batch]) -> None:
        for fence, group in groupby(batches, key=lambda batch: batch.fence):
            mine = list(group)
            outputs = [output for batch in mine for output in self._stage.process(batch)]
            if not self._transactor.commit(outputs, positions_of(mine), fence):
                self._stage.forget(mine)


_encode = msgspec.json.Encoder().encode


def journal_output(entry: Entry) -> Output:
    """A journal entry as a record, keyed by the event so that its steps stay in order."""
    return Output(topics.JOURNAL, entry.event_id.encode(), _encode(entry))


def dead_letter_outputs(record: Record, letter: DeadLetter) -> list[Output]:
    """The record as it came with the reason beside it, and its journal entry."""
    kept = [(name, value) for name, value in record.headers if not name.startswith("hub-dl-")]
    entry = Entry(
        at=letter.at,
        stage=letter.stage,
        outcome="dead-lettered",
        event_id=letter.event_id,
        type=letter.type,
        subject=letter.subject,
        party=letter.party,
        source=letter.source,
        correlation_id=letter.correlation_id,
        route=letter.route,
        subscription=letter.subscription,
        attempt=letter.attempts,
        reason=letter.reason,
        fingerprint=letter.fingerprint,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        dead_letter=letter.id,
    )
    written = Output(
        topics.DEAD_LETTERS, record.key or letter.id.encode(), record.value or b"", kept + letter.headers()
    )
    return [written, journal_output(entry)]
