"""Writing the journal: entries in any order and any number of times come to the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, Float, and_, bindparam, case, exists, func, update

from hub.delivery.dead_letter import DeadLetter
from hub.journal.database import greatest, least, open_database, upsert
from hub.journal.entry import Entry
from hub.journal.tables import dead_letters, deliveries, events, steps

_encode = msgspec.json.Encoder().encode
_STEP_FIELDS = tuple(name for name in steps.columns.keys() if name not in ("number", "digest"))
_EVENT_FIELDS = ("type", "source", "subject", "party", "route", "correlation_id", "causation_id")


class Journal:
    """The one writer of a journal's database (several are safe, but wait for each other)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._upsert_events = _events_statement(engine)
        self._upsert_deliveries = _deliveries_statement(engine)
        self._insert_steps = upsert(engine, steps).on_conflict_do_nothing()
        self._insert_letters = upsert(engine, dead_letters).on_conflict_do_nothing()

    @classmethod
    def open(cls, where: Path | str) -> Journal:
        """The journal at a path (SQLite) or database URL. Raises JournalError."""
        return cls(open_database(where))

    def apply(self, entries: Sequence[Entry]) -> None:
        """Write a batch in one transaction. Idempotent."""
        if not entries:
            return
        with self._engine.begin() as connection:
            connection.execute(self._insert_steps, [_step_row(entry) for entry in entries])
            connection.execute(self._upsert_events, [_event_row(entry) for entry in entries])
            delivered = [_delivery_row(entry) for entry in entries if entry.subscription]
            if delivered:
                connection.execute(self._upsert_deliveries, delivered)
            again = [{"letter": entry.dead_letter} for entry in entries if entry.outcome == "redriven"]
            if again:
                connection.execute(_REDRIVEN, again)

    def apply_dead_letters(self, batch: Iterable[tuple[DeadLetter, tuple[str, int, int]]]) -> None:
        """Write dead letters with the position of each one's record. Idempotent."""
        rows = [_letter_row(letter, position) for letter, position in batch]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(self._insert_letters, rows)
                connection.execute(_REDRIVEN_BEFORE, [{"letter": row["id"]} for row in rows])

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()


_REDRIVEN = update(dead_letters).where(dead_letters.c.id == bindparam("letter")).values(status="redriven")
# The two topics are read in no order: the letter may come after the word that it was sent again.
_REDRIVEN_BEFORE = (
    update(dead_letters)
    .where(dead_letters.c.id == bindparam("letter"))
    .where(exists().where(steps.c.dead_letter == bindparam("letter"), steps.c.outcome == "redriven"))
    .values(status="redriven")
)


def _events_statement(engine: Engine) -> Any:
    """What an entry knows fills what was empty; the newest entry's outcome is the event's state."""
    statement = upsert(engine, events)
    new, old = statement.excluded, events.c
    newer = new.last_at >= old.last_at
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={
            **{name: case((old[name] == "", new[name]), else_=old[name]) for name in _EVENT_FIELDS},
            "first_at": getattr(func, least(engine))(old.first_at, new.first_at, type_=Float),
            "last_at": getattr(func, greatest(engine))(old.last_at, new.last_at, type_=Float),
            "state": case((newer, new.state), else_=old.state),
        },
    )


def _deliveries_statement(engine: Engine) -> Any:
    statement = upsert(engine, deliveries)
    new, old = statement.excluded, deliveries.c
    newer = and_(new.at >= old.at)
    values: dict[str, Any] = {
        name: case((newer, new[name]), else_=old[name]) for name in ("state", "status", "reason")
    }
    values["attempts"] = getattr(func, greatest(engine))(old.attempts, new.attempts)
    values["first_at"] = getattr(func, least(engine))(old.first_at, new.first_at)
    values["at"] = getattr(func, greatest(engine))(old["at"], new["at"])
    return statement.on_conflict_do_update(index_elements=["event_id", "subscription"], set_=values)


def _step_row(entry: Entry) -> dict[str, Any]:
    row = {name: getattr(entry, name) for name in _STEP_FIELDS}
    row["digest"] = hashlib.blake2b(_encode(entry), digest_size=16).hexdigest()
    return row


def _event_row(entry: Entry) -> dict[str, Any]:
    row = {name: getattr(entry, name) for name in _EVENT_FIELDS}
    return {"id": entry.event_id, **row, "first_at": entry.at, "last_at": entry.at, "state": entry.outcome}


def _delivery_row(entry: Entry) -> dict[str, Any]:
    return {
        "event_id": entry.event_id,
        "subscription": entry.subscription,
        "state": entry.outcome,
        "attempts": entry.attempt,
        "status": entry.status,
        "reason": entry.reason,
        "first_at": entry.at,
        "at": entry.at,
    }


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
