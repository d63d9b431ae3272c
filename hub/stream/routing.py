"""events.<domain> → inbox.<party>: every route that takes an event sends its mapping to the party's inbox."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import time
from typing import Any

import numpy as np
import polars as pl
from msgspec.structs import replace as changed

from hub.delivery.dead_letter import DeadLetter
from hub.events.ids import derive
from hub.events.kafka import header
from hub.journal.entry import Entry
from hub.routes.engine import Engine, Outcome, Refused, Routed
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.fetched import Columns, columns_of
from hub.stream.ordering import Part, Turns, in_turn, set_apart
from hub.stream.parked import SKIP, Parked
from hub.stream.records import Batch, Fence, Output, Outputs, Read, Record
from hub.stream.stage import dead_letter_outputs, journal_outputs

#: On a redriven record: the one route or subscription that it is for, since the others have it already.
ONLY = "hub-only"

#: On an event that was routed in the transaction that wrote it.
ROUTED = "hub-routed"

_UNKNOWN = -1  # a place that Kafka has not given yet
_NOBODY = Fence("", _UNKNOWN, "")  # for what was not fetched


@dataclass(frozen=True, slots=True)
class _Came:
    """Some batches as one: their records' columns one after the other; batch n begins at row `starts[n]`."""

    batches: Sequence[Batch]
    columns: Columns
    starts: Sequence[int]

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> _Came:
        return cls(batches, *columns_of([batch.records for batch in batches]))

    def record(self, row: int) -> Record:
        """The record of a row, made if need be."""
        at = bisect_right(self.starts, row) - 1
        return self.batches[at].records[row - self.starts[at]]

    def parts(self, parked: Parked) -> list[Part]:
        """The batches as rows, with what is parked in each one's partition."""
        ends = [*self.starts[1:], len(self.columns.values)]
        return [
            Part(range(start, end), parked.of(batch))
            for batch, start, end in zip(self.batches, self.starts, ends, strict=True)
        ]

    def origins(self, rows: Sequence[int]) -> dict[str, Sequence[Any]]:
        """Topic, partition and offset of these rows, as columns."""
        found: dict[str, Sequence[Any]] = {"offset": [self.columns.offsets[row] for row in rows]}
        if len(self.batches) > 1:
            batches = [self.batches[bisect_right(self.starts, row) - 1] for row in rows]
            found["topic"] = [batch.topic for batch in batches]
            found["partition"] = [batch.partition for batch in batches]
        return found


class Routing:
    """The route stage. With `parked`, a failure at a route that is `ordered` holds up its own subject there."""

    name = "route"

    def __init__(self, engine: Engine, parked: Parked | None = None) -> None:
        self._engine = engine
        self._parked = parked
        self._domains_in_order = {topics.domain_of(kind) for kind in engine.in_order}
        # What the first batch gives up of former times is nothing to those after it.
        self.pure = parked is None or not engine.ordered
        #: What is routed at once comes through only to be passed over, and for what is redriven there is time.
        self.linger = 0.2 if self.pure else 0.0

    def process(self, batches: Sequence[Batch]) -> Sequence[Output | Outputs]:
        """Inbox records in the order of the batches, then dead letters and journal entries."""
        came = _Came.of(batches)
        heads = came.columns.heads
        only = heads.given(ONLY)
        routed = heads.given(ROUTED).keys() - only.keys()
        outputs = self._given_up(batches)
        return outputs if len(routed) == heads.count else [*outputs, *self._route(came, only, routed)]

    def _given_up(self, batches: Sequence[Batch]) -> list[Output]:
        """Where order matters no more, nothing waits any longer, though it should matter again."""
        if self._parked is None:
            return []
        return [output for batch in batches for output in self._parked.of(batch).given_up()]

    def at_once(self, event_type: str) -> bool:
        """Whether events of a type may be routed as they are written.

        Not where order matters: after a failure, those that come later have to know of it.
        """
        return topics.domain_of(event_type) not in self._domains_in_order

    def forward(self, events: Sequence[Output]) -> list[Output | Outputs]:
        """What events lead to that are being written, for the transaction that writes them; see `routed`."""
        by_topic: dict[str, list[Record]] = {}
        for event in events:
            by_topic.setdefault(event.topic, []).append(_being_written(event))
        batches = [Batch(topic, _UNKNOWN, records, _NOBODY) for topic, records in by_topic.items()]
        return self._route(_Came.of(batches), {}, set()) if batches else []

    def _route(self, came: _Came, only: Mapping[int, str], routed: set[int]) -> list[Output | Outputs]:
        """`only` has the rows that are for one route alone, `routed` those that are done with already."""
        outcome = self._engine.run(came.columns.heads, came.columns.values)
        if any(not fault.route for fault in outcome.refused):
            outcome = replace(outcome, refused=self._at_routes(outcome, only))
        over = routed | outcome.heads.given(SKIP).keys()
        if only or over:
            outcome = outcome.where(lambda row, route: row not in over and only.get(row, route) == route)
        turns = Turns()
        if self._parked is not None and not self.pure and came.batches[0].fence is not _NOBODY:
            turns = in_turn(outcome, came.parts(self._parked), self._engine.ordered, came.record, _letter)
            outcome = turns.without(outcome)
        outputs: list[Output | Outputs] = [*_forwarded(outcome.routed), *turns.outputs]
        for fault in outcome.refused:
            record = came.record(fault.row)
            outputs += dead_letter_outputs(record, _letter(record, fault))
        return outputs + _journalled(came, outcome, turns.rows | over)

    def _at_routes(self, outcome: Outcome, only: Mapping[int, str]) -> list[Refused]:
        """The faults of `outcome`, those of the event itself as faults of the routes that it was for."""
        types = outcome.heads.texts("ce_type")
        return [
            replace(fault, route=route)
            for fault in outcome.refused
            for route in (
                [fault.route] if fault.route else self._for(types[fault.row], only.get(fault.row, ""))
            )
        ]

    def _for(self, event_type: str, only: str) -> Sequence[str]:
        """The places where an event that no route can take fails: one without a name, unless order matters."""
        if only:
            return [only]
        routes = self._engine.taking(event_type)
        return [""] if self._engine.ordered.isdisjoint(routes) else routes

    def set_aside(self, batch: Batch, reject: Reject) -> list[Output]:
        """An event that cannot go on by any route."""
        (record,) = batch.records
        given = {name: header(record.headers, name) for name in ("ce_type", ONLY, SKIP)}
        routes = [] if given[SKIP] else self._for(given["ce_type"], given[ONLY])
        faults = [Refused(0, route, reject.reason, reject.field, reject.kind) for route in routes]
        held = self._parked.of(batch) if self._parked else None
        return set_apart(record, faults, held, self._engine.ordered, _letter)

    def forget(self, batches: Iterable[Batch]) -> None:
        """What is parked is read again; nothing else is kept between batches."""
        if self._parked is not None:
            self._parked.forget(batches)


def routed(event: Output) -> Output:
    """An event that was given to `forward`, as it is to be written: the stage passes it over."""
    return changed(event, headers=[*event.headers, (ROUTED, b"1")])


def _being_written(event: Output) -> Record:
    """An event as it will be read, but for its place."""
    return Read(event.topic, _UNKNOWN, _UNKNOWN, int(time() * 1000), event.key, event.value, event.headers)


def _forwarded(routed: Sequence[Routed]) -> list[Outputs]:
    """Each input's outputs where the input stood, so that a key's order is kept across types and routes."""
    if not routed:
        return []
    headers = {name: pl.concat([made.headers[name] for made in routed]) for name in routed[0].headers}
    values = pl.concat([made.values for made in routed])
    if len(routed) > 1:
        rows = np.concatenate([made.rows for made in routed])
        order = pl.Series(np.argsort(rows, kind="stable"))  # so that routes stay in order
        headers, values = {name: texts[order] for name, texts in headers.items()}, values[order]
    parties = headers["ce_party"].to_list()
    inboxes = {party: topics.inbox(party) for party in set(parties)}
    where = pl.Series([inboxes[party] for party in parties], dtype=pl.String)
    return [Outputs(where, headers["ce_subject"].cast(pl.Binary), values, headers)]


def _journalled(came: _Came, outcome: Outcome, told: set[int]) -> list[Output]:
    """What happened, one record for many entries that are alike; of the rows in `told` something is said already."""
    first = came.batches[0]
    shared = Entry(
        at=time(), stage="route", outcome="routed", event_id="", topic=first.topic, partition=first.partition
    )
    outputs: list[Output] = []
    for made in outcome.routed:
        same = changed(shared, type=made.type, source=made.source, route=made.route)
        each: dict[str, Sequence[Any]] = {
            **{name: made.texts(header) for name, header in _OF_EACH.items()},
            **came.origins(made.rows),
        }
        outputs += journal_outputs(first.place, same, each)
    met = told | {row for made in outcome.routed for row in made.rows} | {one.row for one in outcome.refused}
    rest = [row for row in range(len(came.columns.values)) if row not in met]
    if rest:
        heads = outcome.heads.take(rest)
        each = {name: heads.texts(header) for name, header in _HEADERS.items()}
        outputs += journal_outputs(
            first.place, changed(shared, outcome="unrouted"), each | came.origins(rest)
        )
    return outputs


_OF_EACH = {
    "event_id": "ce_id",
    "subject": "ce_subject",
    "party": "ce_party",
    "correlation_id": "ce_correlationid",
    "causation_id": "ce_causationid",
}
_HEADERS = _OF_EACH | {"type": "ce_type", "source": "ce_source"}


def _letter(record: Record, fault: Refused) -> DeadLetter:
    named = f"route {fault.route}: {fault.reason}" if fault.kind == "mapping" else fault.reason
    reject = Reject(named, field=fault.field, kind=fault.kind)
    place = {"route": fault.route} if fault.route else {}  # without one it is no event, and no route's fault
    return letter_of(record, "route", reject, **place)


def letter_of(record: Record, stage: str, reject: Reject, **place: Any) -> DeadLetter:
    """The dead letter of a record that carries an event, told from its headers alone.

    `place` may have `route`, `subscription` and `attempts`.
    """
    event_id = header(record.headers, "ce_id")
    if record.offset == _UNKNOWN:  # from which the id is derived otherwise
        place["id"] = derive("dead-letter", event_id, stage, place.get("route", ""))
    return DeadLetter(
        stage=stage,
        reason=reject.reason,
        reason_class=reject.kind,
        field=reject.field,
        at=time(),
        event_id=event_id,
        type=header(record.headers, "ce_type"),
        subject=header(record.headers, "ce_subject"),
        party=header(record.headers, "ce_party"),
        source=header(record.headers, "ce_source"),
        correlation_id=header(record.headers, "ce_correlationid"),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        **{"attempts": 1, **place},
    )
