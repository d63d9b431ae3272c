"""Writing the journal: entries in any order and any number of times come to the same."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Float,
    bindparam,
    case,
    exists,
    func,
    select,
    tuple_,
    update,
)

from hub.delivery.dead_letter import DeadLetter
from hub.journal.database import WAIT_S, Database
from hub.journal.entry import Entry
from hub.journal.merging import (
    DELIVERY_STATE,
    EVENT_FIELDS,
    EVENT_STATE,
    STEP_FIELDS,
    delivery_rows,
    event_rows,
    step_rows,
)
from hub.journal.tables import OF_A_LETTER, String, begun, dead_letters, deliveries, events, steps, tallies


class Journal:
    """The one writer of a journal's database (several are safe, but wait for each other).

    Every call is one transaction; what raises JournalAwayError wrote nothing and may be called again.
    """

    def __init__(self, database: Database) -> None:
        self._database, prepared, insert = database, database.prepared, database.insert
        self._steps = prepared(insert(steps).on_conflict_do_nothing(), STEP_FIELDS)
        self._events = prepared(_events_statement(database), events.columns.keys())
        self._deliveries = prepared(_deliveries_statement(database), deliveries.columns.keys())
        self._tallies = prepared(_tallies_statement(database), tallies.columns.keys())
        self._begun = prepared(insert(begun).on_conflict_do_nothing(), begun.columns.keys())
        self._letters = prepared(insert(dead_letters).on_conflict_do_nothing(), dead_letters.columns.keys())

    @classmethod
    def open(cls, where: Path | str, wait_s: float = WAIT_S) -> Journal:
        """The journal at a path (SQLite) or database URL; see `Database`."""
        return cls(Database(where, wait_s))

    def apply(self, entries: Sequence[Entry]) -> None:
        """Write a batch. Idempotent, and in any order. Raises JournalError."""
        if not entries:
            return
        settled = [
            {"letter": entry.dead_letter, "outcome": entry.outcome}
            for entry in entries
            if entry.outcome in SETTLED
        ]
        with self._database.writing_alone() as connection:
            self._add_steps(connection, entries)
            self._events(connection, event_rows(entries))
            self._deliveries(connection, delivery_rows(entries))
            if settled:
                connection.execute(_SETTLED, settled)

    def _add_steps(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Adds those that are new, and only those to the tallies: what was numbered since, as no other writes."""
        last = connection.execute(_LAST_STEP).scalar() or 0
        self._steps(connection, step_rows(entries))
        added = connection.execute(_ADDED, {"last": last}).mappings().all()
        self._tallies(connection, [dict(row) for row in added])

    def apply_dead_letters(self, batch: Iterable[tuple[DeadLetter, tuple[str, int, int]]]) -> None:
        """Write dead letters with the position of each one's record. Idempotent. Raises JournalError."""
        rows = [_letter_row(letter, position) for letter, position in batch]
        if rows:
            with self._database.writing_alone() as connection:
                self._letters(connection, rows)
                before = [{"letter": row["id"], "outcome": outcome} for row in rows for outcome in SETTLED]
                connection.execute(_SETTLED_BEFORE, before)

    def begin(self, places: Iterable[tuple[str, int]]) -> None:
        """These topics' partitions are read from their start on, by whomever. Idempotent. Raises JournalError."""
        with self._database.writing() as connection:
            self._begun(connection, [{"topic": topic, "partition": number} for topic, number in places])

    def begun(self) -> set[tuple[str, int]]:
        """All that `begin` was told of. Raises JournalError."""
        with self._database.reading() as connection:
            return {(row.topic, row.partition) for row in connection.execute(select(begun))}

    def close(self) -> None:
        """Close the connections."""
        self._database.close()


_LAST_STEP = select(func.max(steps.c.number))
_ADDED = (
    select(steps.c.stage, steps.c.outcome, func.count().label("count"))
    .where(steps.c.number > bindparam("last"))
    .group_by(steps.c.stage, steps.c.outcome)
)
SETTLED = ("redriven", "archived")
"""Outcomes that settle a dead letter, and its status from then on. A dead letter has one of them at most."""

_SETTLED = (
    update(dead_letters)
    .where(dead_letters.c.id == bindparam("letter"))
    .values(status=bindparam("outcome", type_=String))
)
# The two topics are read in no order: the letter may come after the word of what became of it.
_SETTLED_BEFORE = _SETTLED.where(
    exists().where(
        OF_A_LETTER, steps.c.dead_letter == bindparam("letter"), steps.c.outcome == bindparam("outcome")
    )
)


def _events_statement(database: Database) -> Any:
    """What an entry knows fills what was empty; the newest entry's outcome is the event's state.

    Every column is settled by a rule that does not ask which entry came first to us. Entries of one event
    that contradict each other are not expected; the greater text is as good as the other, and always the same.
    """
    statement = database.insert(events)
    new, old = statement.excluded, events.c
    low, high = database.least, database.greatest
    newer = _newer(statement, events, EVENT_STATE)
    # The greater of a text and none is the text.
    filled = {name: high(old[name], new[name]) for name in EVENT_FIELDS}
    state = {name: case((newer, new[name]), else_=old[name]) for name in EVENT_STATE}
    times = {
        "first_at": low(old.first_at, new.first_at, type_=Float),
        "last_at": high(old.last_at, new.last_at, type_=Float),
    }
    return statement.on_conflict_do_update(index_elements=["id"], set_={**filled, **times, **state})


def _deliveries_statement(database: Database) -> Any:
    statement = database.insert(deliveries)
    new, old = statement.excluded, deliveries.c
    low, high = database.least, database.greatest
    newer = _newer(statement, deliveries, DELIVERY_STATE)
    values: dict[str, Any] = {name: case((newer, new[name]), else_=old[name]) for name in DELIVERY_STATE}
    values["attempts"] = high(old.attempts, new.attempts)
    values["first_at"] = low(old.first_at, new.first_at)
    return statement.on_conflict_do_update(index_elements=["event_id", "subscription"], set_=values)


def _newer(statement: Any, table: Any, order: Sequence[str]) -> Any:
    new, old = statement.excluded, table.c
    return tuple_(*(new[name] for name in order)) > tuple_(*(old[name] for name in order))


def _tallies_statement(database: Database) -> Any:
    statement = database.insert(tallies)
    more = tallies.c["count"] + statement.excluded["count"]
    return statement.on_conflict_do_update(index_elements=["stage", "outcome"], set_={"count": more})


_LETTER_FIELDS = (
    "id fingerprint stage reason field event_id type subject party connector route subscription attempts at"
).split()


def _letter_row(letter: DeadLetter, position: tuple[str, int, int]) -> dict[str, Any]:
    row = {name: getattr(letter, name) for name in _LETTER_FIELDS}
    row |= {
        "origin_topic": letter.topic,
        "origin_partition": letter.partition,
        "origin_offset": letter.offset,
    }
    names = ("position_topic", "position_partition", "position_offset")
    return row | dict(zip(names, position, strict=True)) | {"status": "open"}
