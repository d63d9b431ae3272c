"""Reading the journal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, desc, func, or_, select, update

from hub.journal.database import open_database
from hub.journal.rows import Counts, DeliveryRow, Detail, EventRow, Failure, Group, Page, Step, Tail
from hub.journal.tables import dead_letters, deliveries, events, steps
from hub.journal.tree import Node, build

T = TypeVar("T", bound=msgspec.Struct)


class NotFound(LookupError):
    """Nothing of that id is in the journal."""


class Queries:
    """Reads one journal; safe from any thread."""

    def __init__(self, where: Path | str) -> None:
        self._engine = open_database(where)

    def search(
        self, *, type: str = "*", party: str = "", subject: str = "", limit: int = 50, cursor: str = ""
    ) -> Page:
        """Events newest first; `type` may be a pattern such as `payments.*`. Raw records are left out."""
        wanted: list[ColumnElement[bool]] = [events.c.type != ""]
        if type != "*":
            wanted.append(events.c.type.like(type.replace("%", "").replace("*", "%")))
        if party:
            wanted.append(events.c.party == party)
        if subject:
            wanted.append(events.c.subject == subject)
        if cursor:
            at, _, after = cursor.partition("~")
            older = events.c.first_at < float(at)
            wanted.append(or_(older, and_(events.c.first_at == float(at), events.c.id < after)))
        order = (desc(events.c.first_at), desc(events.c.id))
        rows = self._rows(select(events).where(*wanted).order_by(*order).limit(limit + 1))
        items = [_as(EventRow, row) for row in rows[:limit]]
        more = f"{items[-1].first_at!r}~{items[-1].id}" if len(rows) > limit else ""
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
        """A case as trees, raw records at the roots: found by event, raw record, case or subject. Raises NotFound."""
        hit = or_(events.c.id == any_id, events.c.correlation_id == any_id, events.c.subject == any_id)
        found = {row.id: row for row in self._all(EventRow, select(events).where(hit))}
        if not found:
            raise NotFound(any_id)
        caused = select(events).where(events.c.causation_id.in_(list(found)))
        found |= {row.id: row for row in self._all(EventRow, caused)}
        cases = {row.correlation_id for row in found.values() if row.correlation_id}
        whole = select(events).where(events.c.correlation_id.in_(cases))
        found |= {row.id: row for row in self._all(EventRow, whole)}
        causes = {row.causation_id for row in found.values() if row.causation_id} - found.keys()
        found |= {row.id: row for row in self._all(EventRow, select(events).where(events.c.id.in_(causes)))}
        return build(list(found.values()), self._steps(list(found)))

    def tail(self, after: int, limit: int) -> Tail:
        """Steps written after number `after`; -1 starts now."""
        if after < 0:
            with self._engine.connect() as connection:
                return Tail(steps=[], last=connection.execute(select(func.max(steps.c.number))).scalar() or 0)
        rows = self._rows(select(steps).where(steps.c.number > after).order_by(steps.c.number).limit(limit))
        found = [_as(Step, row) for row in rows]
        return Tail(steps=found, last=found[-1].number if found else after)

    def failures(self, status: str = "open") -> list[Group]:
        """Dead letters grouped by fingerprint, the most frequent first."""
        letter = dead_letters.c
        query = (
            select(
                letter.fingerprint,
                func.min(letter.stage).label("stage"),
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
        return self._all(Failure, mine.order_by(dead_letters.c["at"]))

    def open_failures(self, ids: Sequence[str] = (), fingerprint: str = "") -> list[Failure]:
        """Open dead letters by id or fingerprint, or all, oldest first."""
        wanted: list[ColumnElement[bool]] = [dead_letters.c.status == "open"]
        if ids:
            wanted.append(dead_letters.c.id.in_(list(ids)))
        if fingerprint:
            wanted.append(dead_letters.c.fingerprint == fingerprint)
        return self._all(Failure, select(dead_letters).where(*wanted).order_by(dead_letters.c["at"]))

    def mark_redriven(self, ids: Sequence[str]) -> None:
        """Show them as redriven at once; the worker's entry says the same a moment later."""
        with self._engine.begin() as connection:
            chosen = dead_letters.c.id.in_(list(ids))
            connection.execute(update(dead_letters).where(chosen).values(status="redriven"))

    def counts(self) -> Counts:
        """Totals for status and metrics."""
        with self._engine.connect() as connection:
            grouped = connection.execute(
                select(steps.c.stage, steps.c.outcome, func.count()).group_by(steps.c.stage, steps.c.outcome)
            ).all()
            failed = select(func.count()).where(dead_letters.c.status == "open")
            waiting = select(func.count()).where(deliveries.c.state == "attempt-failed")
            return Counts(
                outcomes={f"{stage}.{outcome}": count for stage, outcome, count in grouped},
                open_failures=connection.execute(failed).scalar_one(),
                pending_deliveries=connection.execute(waiting).scalar_one(),
            )

    def _steps(self, event_ids: Sequence[str]) -> list[Step]:
        query = select(steps).where(steps.c.event_id.in_(list(event_ids)))
        return self._all(Step, query.order_by(steps.c["at"], steps.c.number))

    def _rows(self, query: Select[Any]) -> Sequence[Row[Any]]:
        with self._engine.connect() as connection:
            return connection.execute(query).all()

    def _all(self, kind: type[T], query: Select[Any]) -> list[T]:
        return [_as(kind, row) for row in self._rows(query)]


def _as(kind: type[T], row: Row[Any]) -> T:
    named = row._mapping
    return kind(**{name: named[name] for name in kind.__struct_fields__})
