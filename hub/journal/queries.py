"""Reading the journal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar, Unpack

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, case, desc, distinct, func, or_, select, update

from hub.journal.database import WAIT_S, Database
from hub.journal.rows import Counts, DeliveryRow, Detail, EventRow, Failure, Group, Page, Step, Tail
from hub.journal.tables import REPEATED, WAITING, dead_letters, deliveries, events, steps, tallies
from hub.journal.tree import Node, build, in_order

T = TypeVar("T", bound=msgspec.Struct)

_AT_ONCE = 5_000
"""Ids in one query: both databases limit how many values a statement may take."""


class NotFound(LookupError):
    """Nothing of that id is in the journal."""


class Filters(TypedDict, total=False):
    """What a search may ask for; an empty one asks for nothing. Times in epoch seconds, `until` exclusive."""

    type: str
    """An event type, or a pattern: `*` stands for anything, as in `payments.*`."""
    party: str
    subject: str
    source: str
    state: str
    """The latest outcome."""
    since: float
    until: float


class Queries:
    """Reads one journal; safe from any thread. Every method raises JournalError where it cannot be read."""

    def __init__(self, where: Path | str, wait_s: float = WAIT_S) -> None:
        self._database = Database(where, wait_s)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def search(self, *, limit: int = 50, cursor: str = "", **filters: Unpack[Filters]) -> Page:
        """Events newest first, `limit` at a time; `cursor` is the `next` of the page before.

        What arrives meanwhile neither moves nor repeats what later pages show. Raises ValueError for a cursor
        that is not ours.
        """
        wanted = _conditions(filters)
        if cursor:
            at, after = _position(cursor)
            wanted.append(or_(events.c.first_at < at, and_(events.c.first_at == at, events.c.id < after)))
        order = (desc(events.c.first_at), desc(events.c.id))
        found = self._all(EventRow, select(events).where(*wanted).order_by(*order).limit(limit + 1))
        items = found[:limit]
        more = f"{items[-1].first_at!r}~{items[-1].id}" if len(found) > limit else ""
        return Page(items=items, next=more)

    def show(self, event_id: str) -> Detail:
        """One event, or raw record, with all that happened to it. Raises NotFound."""
        found = self._rows(select(events).where(events.c.id == event_id))
        if not found:
            raise NotFound(event_id)
        return Detail(
            event=_as(EventRow, found[0]),
            steps=self._steps([event_id]),
            deliveries=self._all(DeliveryRow, select(deliveries).where(deliveries.c.event_id == event_id)),
            failures=self.failures_of(event_id),
        )

    def trace(self, any_id: str) -> list[Node]:
        """A case as trees, raw records at the roots: found by event, raw record, case or subject. Raises NotFound.

        Raw records that only told something again are in it. What else a cause led to, in other cases, is not.
        """
        hit = or_(events.c.id == any_id, events.c.correlation_id == any_id, events.c.subject == any_id)
        found = {row.id: row for row in self._all(EventRow, select(events).where(hit))}
        if not found:
            raise NotFound(any_id)
        repeats = select(steps.c.event_id).where(REPEATED)
        repeated = self._texts(repeats, steps.c.causation_id, found)
        found |= self._events(events.c.causation_id, found) | self._events(events.c.id, repeated)
        found |= self._events(events.c.correlation_id, {row.correlation_id for row in found.values()} - {""})
        happened = self._steps(found)
        causes = {row.causation_id for row in found.values()} | {step.causation_id for step in happened}
        while causes := causes - found.keys() - {""}:
            above = self._events(events.c.id, causes)
            happened += self._steps(above)
            found |= above
            causes = {row.causation_id for row in above.values()}
        return build(list(found.values()), happened)

    def tail(self, after: int, limit: int) -> Tail:
        """Steps written after number `after`; -1 starts now."""
        if after < 0:
            newest = self._rows(select(func.max(steps.c.number)))[0][0]
            return Tail(steps=[], last=newest or 0)
        query = select(steps).where(steps.c.number > after).order_by(steps.c.number).limit(limit)
        found = self._all(Step, query)
        return Tail(steps=found, last=found[-1].number if found else after)

    def failures(self, status: str = "open") -> list[Group]:
        """Dead letters grouped by fingerprint, the most frequent first."""
        letter = dead_letters.c
        query = (
            select(
                letter.fingerprint,
                func.min(letter.stage).label("stage"),
                func.min(case((letter.route != "", letter.route), else_=letter.connector)).label("place"),
                case(
                    (func.min(letter.party) == func.max(letter.party), func.min(letter.party)), else_=""
                ).label("party"),
                func.count(distinct(letter.party)).label("parties"),
                func.min(letter.reason).label("reason"),
                func.count().label("count"),
                func.min(letter["at"]).label("first_at"),
                func.max(letter["at"]).label("last_at"),
                func.min(letter.id).label("sample"),
            )
            .where(letter.status == status)
            .group_by(letter.fingerprint)
            .order_by(desc("count"), letter.fingerprint)
        )
        return self._all(Group, query)

    def failure(self, failure_id: str) -> Failure:
        """One dead letter. Raises NotFound."""
        found = self._all(Failure, select(dead_letters).where(dead_letters.c.id == failure_id))
        if not found:
            raise NotFound(failure_id)
        return found[0]

    def failures_of(self, event_id: str) -> list[Failure]:
        """The dead letters of one event or raw record, oldest first."""
        mine = select(dead_letters).where(dead_letters.c.event_id == event_id)
        return self._all(Failure, mine.order_by(dead_letters.c["at"], dead_letters.c.id))

    def failures_among(self, *, ids: Collection[str] = (), events: Collection[str] = ()) -> list[Failure]:
        """The dead letters of these ids or events, in no order, whatever became of them."""
        asked = ((dead_letters.c.id, ids), (dead_letters.c.event_id, events))
        queries = (column.in_(some) for column, values in asked for some in _portions(values))
        return [one for chosen in queries for one in self._all(Failure, select(dead_letters).where(chosen))]

    def open_failures(
        self, ids: Sequence[str] = (), fingerprint: str = "", reasons: Sequence[str] = ()
    ) -> list[Failure]:
        """Open dead letters by ids or reasons, by fingerprint, or all, oldest first."""
        query = select(dead_letters).where(dead_letters.c.status == "open")
        if fingerprint:
            query = query.where(dead_letters.c.fingerprint == fingerprint)
        chosen = [query]
        for column, wanted in ((dead_letters.c.id, ids), (dead_letters.c.reason, reasons)):
            if wanted:
                chosen = [one.where(column.in_(some)) for one in chosen for some in _portions(set(wanted))]
        found = [failure for some in chosen for failure in self._all(Failure, some)]
        return sorted(found, key=lambda failure: (failure.at, failure.id))

    def waiting_failures(self) -> list[Failure]:
        """Open dead letters that wait for another."""
        letter = dead_letters.c
        return self._all(
            Failure, select(dead_letters).where(letter.status == "open", letter.reason.like("waits for %"))
        )

    def failures_like(self, fingerprint: str, status: str = "open", limit: int = 100) -> list[Failure]:
        """The newest dead letters of one kind."""
        letter = dead_letters.c
        mine = select(dead_letters).where(letter.fingerprint == fingerprint, letter.status == status)
        return self._all(Failure, mine.order_by(desc(letter["at"]), letter.id).limit(limit))

    def settle(self, outcome: str, ids: Sequence[str]) -> None:
        """Show open ones as redriven or archived at once; the worker's entry says the same a moment later."""
        with self._database.writing() as connection:
            for some in _portions(ids):
                chosen = update(dead_letters).where(dead_letters.c.id.in_(some))
                connection.execute(chosen.where(dead_letters.c.status == "open").values(status=outcome))

    def counts(self) -> Counts:
        """Totals for status and metrics."""
        failed = select(func.count()).where(dead_letters.c.status == "open")
        waiting = select(func.count()).select_from(deliveries).where(WAITING)
        return Counts(
            outcomes={f"{row.stage}.{row.outcome}": row[2] for row in self._rows(select(tallies))},
            open_failures=self._rows(failed)[0][0],
            pending_deliveries=self._rows(waiting)[0][0],
        )

    def _steps(self, event_ids: Collection[str]) -> list[Step]:
        found: list[Step] = []
        for some in _portions(event_ids):
            found += self._all(Step, select(steps).where(steps.c.event_id.in_(some)))
        return sorted(found, key=in_order)

    def _events(self, column: ColumnElement[str], values: Collection[str]) -> dict[str, EventRow]:
        found: dict[str, EventRow] = {}
        for some in _portions(values):
            rows = self._all(EventRow, select(events).where(column.in_(some)))
            found |= {row.id: row for row in rows}
        return found

    def _texts(self, query: Select[Any], column: ColumnElement[str], values: Collection[str]) -> set[str]:
        return {row[0] for some in _portions(values) for row in self._rows(query.where(column.in_(some)))}

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        with self._database.reading() as connection:
            return connection.execute(query).all()

    def _all(self, kind: type[T], query: Select[Any]) -> list[T]:
        return [_as(kind, row) for row in self._rows(query)]


def _conditions(filters: Filters) -> list[ColumnElement[bool]]:
    wanted = [events.c.type != ""]  # only raw records have none
    pattern = filters.get("type", "*")
    if pattern not in ("", "*"):
        plain = pattern.replace("/", "//").replace("%", "/%").replace("_", "/_")
        wanted.append(events.c.type.like(plain.replace("*", "%"), escape="/"))
    for name in ("party", "subject", "source", "state"):
        if filters.get(name):
            wanted.append(events.c[name] == filters.get(name))
    if "since" in filters:
        wanted.append(events.c.first_at >= filters["since"])
    if "until" in filters:
        wanted.append(events.c.first_at < filters["until"])
    return wanted


def _position(cursor: str) -> tuple[float, str]:
    at, mark, after = cursor.partition("~")
    try:
        if mark:
            return float(at), after
    except ValueError:
        pass
    raise ValueError("cursor: not one that a page gave")


def _portions(values: Collection[str]) -> list[list[str]]:
    ordered = list(values)
    return [ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE)]


def _as(kind: type[T], row: Row[Any]) -> T:
    named = row._mapping
    return kind(**{name: named[name] for name in kind.__struct_fields__})
