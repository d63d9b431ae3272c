"""hub.journal and dead-letters → the journal: the read model that people search."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec
import structlog

from hub.delivery.dead_letter import DeadLetter
from hub.journal.database import JournalError, JournalRefusedError
from hub.journal.entry import Entry, entries
from hub.journal.store import Journal
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.progress import moved, waits_for
from hub.stream.records import Batch, Output, Place, Record

#: Rows in one transaction of the journal: the most, and what a database that does not take so many in time is given.
_AT_ONCE, _LEAST = 5_000, 100

log = structlog.get_logger()

T = TypeVar("T")


class EmptyError(RuntimeError):
    """The journal was made anew, which was not known when reading began."""


class Journalling:
    """The journal stage: idempotent, so that reading a batch twice changes nothing."""

    name = "journal"
    pure = True
    linger = 0.2  # a read model: fewer, larger transactions leave the worker to the events

    def __init__(self, where: Path | str) -> None:
        self._journal = Journal.open(where)
        self._portion = _AT_ONCE
        #: What was read into it from the start on, by whomever, when that was looked up last; None before.
        self._begun: set[Place] | None = None
        with suppress(JournalError):
            self._begun = self._journal.begun()

    def unread(self, places: Iterable[Place]) -> frozenset[Place]:
        """What of these is to be read from its start: for a journal that is new, or was dropped, all that it reads.

        Nothing while that is not known: `process` then finds out.
        """
        read = {topics.JOURNAL, topics.DEAD_LETTERS}
        mine = frozenset(place for place in places if place[0] in read)
        return frozenset() if self._begun is None else mine - self._begun

    def begin(self, places: Iterable[Place]) -> None:
        """The group has gone back to where these start, for good. A journal that cannot be told is told by who begins
        next."""
        with suppress(JournalError):
            self._journal.begin(places)
            self._begun = self._journal.begun()

    def process(self, batches: Sequence[Batch]) -> list[Output]:
        """Write batches to the journal; nothing goes back to Kafka. Waits while the database cannot be used.

        One record of which it takes nothing, ever, is passed over; among several that one is to be found first.
        Raises EmptyError where it was made anew and that was not known when reading began, because it could not be
        used then or was dropped since: what is in Kafka has to be read from the start.
        """
        try:
            self._write(batches)
        except JournalRefusedError:
            record, *others = (record for batch in batches for record in batch.records)
            if others:
                raise
            _passed_over(record)
        return []

    def _write(self, batches: Sequence[Batch]) -> None:
        places = {batch.place for batch in batches}
        letters = (one for batch in batches if batch.topic == topics.DEAD_LETTERS for one in _letters(batch))
        self._insist(places, self._journal.apply_dead_letters, letters)
        told = (one for batch in batches if batch.topic != topics.DEAD_LETTERS for one in _entries(batch))
        self._insist(places, self._journal.apply, told)

    def _look(self, places: set[Place]) -> None:
        self._begun = self._journal.begun()
        if places - self._begun:
            raise EmptyError("the journal was made anew; another worker has to read it from the start")

    def _insist(self, places: set[Place], write: Callable[[list[T]], None], rows: Iterator[T]) -> None:
        """Until all is written. Only the journal falls behind meanwhile: events go on without it.

        A record may hold thousands: never all of a backlog's at once, and fewer after a call that failed, which may
        have taken too long.
        """
        pause, some = 0.5, list(islice(rows, self._portion))
        while some:
            try:
                self._look(places)  # it may have been made anew since the last call
                write(some[: self._portion])
            except JournalRefusedError:
                waits_for("")
                raise
            except JournalError as error:
                waits_for(str(error))
                log.error("journal-away", reason=str(error), seconds=pause)
                self._portion = max(_LEAST, self._portion // 2)
                time.sleep(pause)
                pause = min(pause * 2, 10.0)
            else:
                waits_for("")
                moved()  # of a backlog's entries one transaction has so many that it takes long
                some = some[self._portion :]
                pause, self._portion = 0.5, min(_AT_ONCE, self._portion + self._portion // 4)
                some = some or list(islice(rows, self._portion))

    def set_aside(self, batch: Batch, reject: Reject) -> list[Output]:
        """Never: `process` passes over what it has to, and any other fault is the journal's, and no record's."""
        raise RuntimeError(reject.reason)

    def forget(self, batches: Iterable[Batch]) -> None:
        """Nothing to forget: what was written may be written again."""


def _entries(batch: Batch) -> Iterator[Entry]:
    for record in batch.records:
        try:
            yield from entries(record.value or b"")
        except msgspec.DecodeError:
            _passed_over(record)


def _letters(batch: Batch) -> Iterator[tuple[DeadLetter, tuple[str, int, int]]]:
    for record in batch.records:
        try:
            yield DeadLetter.from_headers(record.headers), (batch.topic, batch.partition, record.offset)
        except ValueError:
            _passed_over(record)


def _passed_over(record: Record) -> None:
    """Not ours, from a later version, or more than a database takes: a journal made anew may read it in Kafka."""
    log.error("journal-passed-over", topic=record.topic, partition=record.partition, offset=record.offset)
