"""Writing the journal: entries in any order and any number of times come to the same."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import Engine, Float, bindparam, case, exists, func, tuple_, update

from hub.delivery.dead_letter import DeadLetter
from hub.journal.database import WAIT_S, explained, greatest, least, open_database, prepared, upsert
from hub.journal.entry import Entry
from hub.journal.tables import dead_letters, deliveries, events, steps

_encode = msgspec.json.Encoder().encode
_STEP_FIELDS = tuple(column.name for column in steps.columns if column.name != "number")
_ENTRY_FIELDS = tuple(name for name in _STEP_FIELDS if name != "digest")
_fields_of = attrgetter(*_ENTRY_FIELDS)
_EVENT_FIELDS = ("type", "source", "subject", "party", "correlation_id", "causation_id", "route")
# Of two things that happened in the same instant, the one further on the way is the state.
_WAY = (
    "refused accepted duplicate translated unrouted routed attempt-failed dead-lettered redriven ended delivered"
).split()
_RANK = {outcome: rank for rank, outcome in enumerate(_WAY, start=1)}


class Journal:
    """The one writer of a journal's database (several are safe, but wait for each other).

    Every call is one transaction; what raises JournalAwayError wrote nothing and may be called again.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._steps = prepared(engine, upsert(engine, steps).on_conflict_do_nothing(), _STEP_FIELDS)
        self._events = prepared(engine, _events_statement(engine), events.columns.keys())
        self._deliveries = prepared(engine, _deliveries_statement(engine), deliveries.columns.keys())
        self._letters = prepared(
            engine, upsert(engine, dead_letters).on_conflict_do_nothing(), dead_letters.columns.keys()
        )

    @classmethod
    def open(cls, where: Path | str, wait_s: float = WAIT_S) -> Journal:
        """The journal at a path (SQLite) or database URL; see `open_database`. Raises JournalError."""
        return cls(open_database(where, wait_s))

    def apply(self, entries: Sequence[Entry]) -> None:
        """Write a batch. Idempotent, and in any order. Raises JournalError."""
        if not entries:
            return
        again = [{"letter": entry.dead_letter} for entry in entries if entry.outcome == "redriven"]
        with explained(self._engine), self._engine.begin() as connection:
            self._steps(connection, [_step_row(entry) for entry in entries])
            self._events(connection, [_event_row(entry) for entry in entries if entry.event_id])
            self._deliveries(connection, [_delivery_row(entry) for entry in entries if entry.subscription])
            if again:
                connection.execute(_REDRIVEN, again)

    def apply_dead_letters(self, batch: Iterable[tuple[DeadLetter, tuple[str, int, int]]]) -> None:
        """Write dead letters with the position of each one's record. Idempotent. Raises JournalError."""
        rows = [_letter_row(letter, position) for letter, position in batch]
        if rows:
            with explained(self._engine), self._engine.begin() as connection:
                self._letters(connection, rows)
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
    """What an entry knows fills what was empty; the newest entry's outcome is the event's state.

    Every column is settled by a rule that does not ask which entry came first to us. Entries of one event
    that contradict each other are not expected; the greater text is as good as the other, and always the same.
    """
    statement = upsert(engine, events)
    new, old = statement.excluded, events.c
    low, high = getattr(func, least(engine)), getattr(func, greatest(engine))
    newer = tuple_(new.state_at, new.state_rank, new.state) > tuple_(old.state_at, old.state_rank, old.state)
    # The greater of a text and none is the text.
    filled = {name: high(old[name], new[name]) for name in _EVENT_FIELDS}
    state = {name: case((newer, new[name]), else_=old[name]) for name in ("state", "state_at", "state_rank")}
    times = {
        "first_at": low(old.first_at, new.first_at, type_=Float),
        "last_at": high(old.last_at, new.last_at, type_=Float),
    }
    return statement.on_conflict_do_update(index_elements=["id"], set_={**filled, **times, **state})


def _deliveries_statement(engine: Engine) -> Any:
    statement = upsert(engine, deliveries)
    new, old = statement.excluded, deliveries.c
    low, high = getattr(func, least(engine)), getattr(func, greatest(engine))
    order = ("at", "state_rank", "state", "status", "reason")
    newer = tuple_(*(new[name] for name in order)) > tuple_(*(old[name] for name in order))
    values = {
        name: case((newer, new[name]), else_=old[name])
        for name in ("state", "state_rank", "status", "reason")
    }
    values["attempts"] = high(old.attempts, new.attempts)
    values["first_at"] = low(old.first_at, new.first_at)
    values["at"] = high(old["at"], new["at"])
    return statement.on_conflict_do_update(index_elements=["event_id", "subscription"], set_=values)


def _step_row(entry: Entry) -> dict[str, Any]:
    row = dict(zip(_ENTRY_FIELDS, _fields_of(entry), strict=True))
    row["digest"] = hashlib.blake2b(_encode(entry), digest_size=16).hexdigest()
    return row


def _event_row(entry: Entry) -> dict[str, Any]:
    repeat = entry.outcome == "duplicate"
    return {
        "id": entry.event_id,
        "type": entry.type,
        "source": entry.source,
        "subject": entry.subject,
        "party": entry.party,
        # On other steps, the route that failed on it, not the one that it came by.
        "route": entry.route if entry.outcome == "routed" else "",
        "correlation_id": entry.correlation_id,
        # Of a repeat, the record that told it again, not the one that it came from.
        "causation_id": "" if repeat else entry.causation_id,
        "first_at": entry.at,
        "last_at": entry.at,
        "state": entry.outcome,
        # Being told again does not change where an event stands.
        "state_at": 0.0 if repeat else entry.at,
        "state_rank": _RANK.get(entry.outcome, 0),
    }


def _delivery_row(entry: Entry) -> dict[str, Any]:
    return {
        "event_id": entry.event_id,
        "subscription": entry.subscription,
        "state": entry.outcome,
        "state_rank": _RANK.get(entry.outcome, 0),
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
