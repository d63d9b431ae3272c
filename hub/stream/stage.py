"""A stage: batches in, outputs out, one transaction. The loop that every stage shares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from typing import Any, Protocol

import msgspec

from hub.delivery.dead_letter import DeadLetter
from hub.journal.entry import Entry, packed
from hub.stream import failpoints, topics
from hub.stream.progress import Progress
from hub.stream.records import Batch, Output, Record, positions_of
from hub.stream.transactions import Transactor

#: Records that one transaction covers at most; more wait for the next.
MAX_RECORDS = 5_000


class Stage(Protocol):
    """One step of an event's way. `process` runs on the stage's own thread and must not raise for bad records."""

    name: str
    #: Whether `process` depends on its batch alone, so that a batch may be worked on while the one before commits.
    pure: bool

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
        self.progress = Progress(stage.name)
        self._queue: asyncio.Queue[Batch] = asyncio.Queue(maxsize=16)
        self._processing = ThreadPoolExecutor(
            1, thread_name_prefix=stage.name, initializer=self.progress.bind
        )
        self._committing = ThreadPoolExecutor(1, thread_name_prefix=f"{stage.name}-commit")

    async def agent(self, stream: AsyncIterable[Batch]) -> None:
        """The Faust agent: it only hands on, and waits when the stage is behind."""
        async for batch in stream:
            self.progress.took(batch)
            await failpoints.at(f"{self.name}.took", len(batch.records))
            await self._queue.put(batch)

    async def run(self) -> None:
        """Process until cancelled. An error that gets here is a bug: it ends the worker, loudly."""
        loop = asyncio.get_running_loop()
        commit = loop.run_in_executor(self._committing, self._transactor.prepare)
        try:
            while True:
                if self._queue.empty():
                    await commit
                for _, group in groupby(await self._collect(), key=lambda batch: batch.fence):
                    batches = list(group)
                    if not self._stage.pure:
                        await commit
                    outputs = await loop.run_in_executor(self._processing, self._process, batches)
                    await commit
                    commit = loop.run_in_executor(self._committing, self._commit, batches, outputs)
        finally:
            self._processing.shutdown(wait=False, cancel_futures=True)
            await self._transactor.finish(self._committing)

    async def _collect(self) -> list[Batch]:
        """All that waits, up to `MAX_RECORDS`: one event commits at once, a flood commits in bulk."""
        batches = [await self._queue.get()]
        while sum(len(batch.records) for batch in batches) < MAX_RECORDS and not self._queue.empty():
            batches.append(self._queue.get_nowait())
        return batches

    def _process(self, batches: Sequence[Batch]) -> list[Output]:
        failpoints.reached(self.name, sum(len(batch.records) for batch in batches))
        return [output for batch in batches for output in self._stage.process(batch)]

    def _commit(self, batches: Sequence[Batch], outputs: Sequence[Output]) -> None:
        failpoints.reached(f"{self.name}.commit")
        if self._transactor.commit(outputs, positions_of(batches), batches[0].fence):
            self.progress.committed(batches)
            failpoints.reached(f"{self.name}.committed")
        else:
            self._stage.forget(batches)
            self.progress.returned(batches)


_encode = msgspec.json.Encoder().encode
_PACKED = 2_000  # entries in one record: some 300 KB, far below what a broker takes


def journal_output(entry: Entry) -> Output:
    """A journal entry as a record, keyed by the event so that its steps stay in order."""
    return Output(topics.JOURNAL, entry.event_id.encode(), _encode(entry))


def journal_outputs(batch: Batch, same: Entry, each: Mapping[str, Sequence[Any]]) -> list[Output]:
    """As few records as hold the entries that a batch led to: `same`, with entry n's columns of `each` over it.

    Keyed by where the batch came from. An event's steps may so be read out of order: the journal does not mind.
    """
    key = f"{batch.topic}-{batch.partition}".encode()
    count = len(each["event_id"])
    return [
        Output(
            topics.JOURNAL,
            key,
            packed(same, {name: column[start : start + _PACKED] for name, column in each.items()}),
        )
        for start in range(0, count, _PACKED)
    ]


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
