"""Entries as rows, those of one batch about the same thing merged: the database then settles each row once.

The rules are those of the statements in `hub.journal.store`, which merge a row with what is there already: a
change here is a change there. None asks which entry came to us first. Texts are compared by code point, as the
database compares them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import msgspec

from hub.journal.entry import Entry, rank
from hub.journal.tables import steps

Row = dict[str, Any]

STEP_FIELDS = tuple(column.name for column in steps.columns if column.name != "number")
EVENT_FIELDS = ("type", "source", "subject", "party", "correlation_id", "causation_id", "route")
"""What is told of an event once and for all."""
EVENT_STATE = ("state_at", "state_rank", "state")
"""What the newest entry decides, in the order in which newer is judged."""
DELIVERY_STATE = ("at", "state_rank", "state", "status", "reason")

_ENTRY_FIELDS = tuple(name for name in STEP_FIELDS if name != "digest")
_fields_of = attrgetter(*_ENTRY_FIELDS)
_encode = msgspec.json.Encoder().encode
_moment = struct.Struct(">d").pack


def step_rows(entries: Iterable[Entry]) -> list[Row]:
    """A row for each entry; the digest tells an entry that was read twice.

    It begins with the time, since that sorts: entries then go to the end of its index, not all over it.
    """
    rows = []
    for entry in entries:
        row = dict(zip(_ENTRY_FIELDS, _fields_of(entry), strict=True))
        told = hashlib.blake2b(_encode(entry), digest_size=8)
        row["digest"] = _moment(entry.at).hex() + told.hexdigest()
        rows.append(row)
    return rows


def event_rows(entries: Iterable[Entry]) -> list[Row]:
    """A row for each event that the entries are about."""
    rows: dict[str, Row] = {}
    for entry in entries:
        if entry.event_id:
            new = _event_row(entry)
            old = rows.setdefault(entry.event_id, new)
            if old is not new:
                _add_to_event(old, new)
    return list(rows.values())


def delivery_rows(entries: Iterable[Entry]) -> list[Row]:
    """A row for each event and subscription that the entries are about."""
    rows: dict[tuple[str, str], Row] = {}
    for entry in entries:
        if entry.event_id and entry.subscription:
            new = _delivery_row(entry)
            old = rows.setdefault((entry.event_id, entry.subscription), new)
            if old is not new:
                _add_to_delivery(old, new)
    return list(rows.values())


def _event_row(entry: Entry) -> Row:
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
        "state_rank": rank(entry.outcome),
    }


def _delivery_row(entry: Entry) -> Row:
    return {
        "event_id": entry.event_id,
        "subscription": entry.subscription,
        "state": entry.outcome,
        "state_rank": rank(entry.outcome),
        "attempts": entry.attempt,
        "status": entry.status,
        "reason": entry.reason,
        "first_at": entry.at,
        "at": entry.at,
    }


def _add_to_event(old: Row, new: Row) -> None:
    """What a row knows fills what was empty in the old one; the newest entry's outcome is the event's state."""
    for name in EVENT_FIELDS:
        if new[name] > old[name]:  # noqa: PLR1730 - a call of max for each is felt here
            old[name] = new[name]
    old["first_at"] = min(old["first_at"], new["first_at"])
    old["last_at"] = max(old["last_at"], new["last_at"])
    _take_newer(old, new, EVENT_STATE)


def _add_to_delivery(old: Row, new: Row) -> None:
    """The newest attempt is how a delivery stands."""
    old["attempts"] = max(old["attempts"], new["attempts"])
    old["first_at"] = min(old["first_at"], new["first_at"])
    _take_newer(old, new, DELIVERY_STATE)


def _take_newer(old: Row, new: Row, order: tuple[str, ...]) -> None:
    if tuple(map(new.__getitem__, order)) > tuple(map(old.__getitem__, order)):
        for name in order:
            old[name] = new[name]
