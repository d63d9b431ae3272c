"""events.<domain> → inbox.<party>: every route that takes an event sends its mapping to the party's inbox."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import time
from typing import Any

from msgspec.structs import replace as changed

from hub.delivery.dead_letter import DeadLetter
from hub.events.envelope import Event
from hub.events.kafka import from_headers, header
from hub.journal.entry import Entry
from hub.registry.codec import CodecError, decode
from hub.registry.schemas import Registry
from hub.routes.engine import Engine, Outcome, Refused, Routed
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.fetched import Columns, columns_of
from hub.stream.records import Batch, Output, Record
from hub.stream.stage import dead_letter_outputs, journal_outputs

#: On a redriven record: the one route or subscription that it is for, since the others have it already.
ONLY = "hub-only"


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

    def origins(self, rows: Sequence[int]) -> dict[str, Sequence[Any]]:
        """Topic, partition and offset of these rows, as columns."""
        found: dict[str, Sequence[Any]] = {"offset": [self.columns.offsets[row] for row in rows]}
        if len(self.batches) > 1:
            batches = [self.batches[bisect_right(self.starts, row) - 1] for row in rows]
            found["topic"] = [batch.topic for batch in batches]
            found["partition"] = [batch.partition for batch in batches]
        return found


class Routing:
    """The route stage."""

    name = "route"
    pure = True
    linger = 0.0

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def process(self, batches: Sequence[Batch]) -> list[Output]:
        """Inbox records in the order of the batches, then dead letters and journal entries."""
        came = _Came.of(batches)
        outcome = self._engine.run(came.columns.heads, came.columns.values)
        only = {row: route for row, route in enumerate(came.columns.heads.texts(ONLY)) if route}
        if only:
            outcome = _only_wanted(outcome, only)
        outputs = _forwarded(outcome.routed)
        for fault in outcome.refused:
            outputs += _set_aside(came.record(fault.row), fault)
        outputs += _journalled(came, outcome)
        return outputs

    def forget(self, batches: Iterable[Batch]) -> None:
        """Nothing is kept between batches."""


def _only_wanted(outcome: Outcome, only: Mapping[int, str]) -> Outcome:
    """Of the records in `only`, what their one route makes."""
    routed = [
        made.take([at for at, row in enumerate(made.rows) if only.get(row, made.route) == made.route])
        for made in outcome.routed
    ]
    refused = [fault for fault in outcome.refused if only.get(fault.row, fault.route) in (fault.route, "")]
    return replace(outcome, routed=routed, refused=refused)


def _forwarded(routed: Sequence[Routed]) -> list[Output]:
    """Each input's outputs where the input stood, so that a key's order is kept across types and routes."""
    outputs: list[Output] = []
    for made in routed:
        inbox = {party: topics.inbox(party) for party in set(made.parties)}
        outputs += [
            Output(inbox[party], key, value, headers)
            for party, key, value, headers in zip(
                made.parties, made.keys, made.values, made.headers, strict=True
            )
        ]
    if len(routed) < 2:
        return outputs
    rows = [row for made in routed for row in made.rows]
    return [outputs[at] for at in sorted(range(len(rows)), key=rows.__getitem__)]  # stable: routes in order


def _journalled(came: _Came, outcome: Outcome) -> list[Output]:
    """What happened, one record for many entries that are alike."""
    first = came.batches[0]
    shared = Entry(
        at=time(), stage="route", outcome="routed", event_id="", topic=first.topic, partition=first.partition
    )
    outputs: list[Output] = []
    for made in outcome.routed:
        same = changed(shared, type=made.type, source=made.source, route=made.route)
        each: dict[str, Sequence[Any]] = {
            "event_id": made.ids,
            "subject": made.subjects,
            "party": made.parties,
            "correlation_id": made.cases,
            "causation_id": made.causes,
            **came.origins(made.rows),
        }
        outputs += journal_outputs(first, same, each)
    met = {row for made in outcome.routed for row in made.rows} | {fault.row for fault in outcome.refused}
    rest = [row for row in range(len(came.columns.values)) if row not in met]
    if rest:
        heads = outcome.heads.take(rest)
        each = {name: heads.texts(header) for name, header in _HEADERS.items()}
        outputs += journal_outputs(first, changed(shared, outcome="unrouted"), each | came.origins(rest))
    return outputs


_HEADERS = {
    "event_id": "ce_id",
    "type": "ce_type",
    "subject": "ce_subject",
    "party": "ce_party",
    "source": "ce_source",
    "correlation_id": "ce_correlationid",
    "causation_id": "ce_causationid",
}


def _set_aside(record: Record, fault: Refused) -> list[Output]:
    if not fault.route:  # no event, so no route's fault
        return dead_letter_outputs(record, letter_of(record, "route", _reject(fault)))
    return dead_letter_outputs(record, letter_of(record, "route", _reject(fault), route=fault.route))


def _reject(fault: Refused) -> Reject:
    named = f"route {fault.route}: {fault.reason}" if fault.kind == "mapping" else fault.reason
    return Reject(named, field=fault.field, kind=fault.kind)


def event_of(record: Record, registry: Registry) -> Event:
    """The event that a record carries. Raises Reject."""
    try:
        _, data = decode(record.value or b"", registry)
        return Event(from_headers(record.headers), data)
    except CodecError as error:
        raise Reject(f"data: {error}", field=error.field, kind="codec") from None
    except ValueError as error:
        raise Reject(str(error), field=str(error).partition(":")[0], kind="envelope") from None


def letter_of(record: Record, stage: str, reject: Reject, **place: Any) -> DeadLetter:
    """The dead letter of a record that carries an event, told from its headers alone.

    `place` may have `route`, `subscription` and `attempts`.
    """
    return DeadLetter(
        stage=stage,
        reason=reject.reason,
        reason_class=reject.kind,
        field=reject.field,
        at=time(),
        event_id=header(record.headers, "ce_id"),
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
