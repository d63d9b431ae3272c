"""events.<domain> → inbox.<party>: every route that takes an event sends its mapping to the party's inbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from time import time
from typing import Any

from hub.delivery.dead_letter import DeadLetter
from hub.events.kafka import header
from hub.journal.entry import Entry
from hub.routes.engine import Engine, Outcome, Refused, Routed
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.fetched import columns_of
from hub.stream.records import Batch, Output, Record
from hub.stream.stage import dead_letter_outputs, journal_outputs

#: On a redriven record: the one route or subscription that it is for, since the others have it already.
ONLY = "hub-only"


class Routing:
    """The route stage."""

    name = "route"
    pure = True

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def process(self, batch: Batch) -> list[Output]:
        """Inbox records in the order of the batch, then dead letters and journal entries."""
        columns = columns_of(batch.records)
        outcome = self._engine.run(columns.heads, columns.values)
        only = {row: route for row, route in enumerate(columns.heads.texts(ONLY)) if route}
        if only:
            outcome = _only_wanted(outcome, only)
        outputs = _forwarded(outcome.routed)
        for fault in outcome.refused:
            outputs += _set_aside(batch.records[fault.row], fault)
        outputs += _journalled(batch, columns.offsets, outcome)
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


def _journalled(batch: Batch, offsets: Sequence[int], outcome: Outcome) -> list[Output]:
    """What happened, one record for many entries that are alike."""
    now = time()
    outputs: list[Output] = []
    for made in outcome.routed:
        same = Entry(
            at=now,
            stage="route",
            outcome="routed",
            event_id="",
            type=made.type,
            source=made.source,
            route=made.route,
            topic=batch.topic,
            partition=batch.partition,
        )
        each: dict[str, Sequence[Any]] = {
            "event_id": made.ids,
            "subject": made.subjects,
            "party": made.parties,
            "correlation_id": made.cases,
            "causation_id": made.causes,
            "offset": [offsets[row] for row in made.rows],
        }
        outputs += journal_outputs(batch, same, each)
    met = {row for made in outcome.routed for row in made.rows} | {fault.row for fault in outcome.refused}
    rest = [row for row in range(len(offsets)) if row not in met]
    if rest:
        heads = outcome.heads.take(rest)
        each = {name: heads.texts(header) for name, header in _HEADERS.items()}
        outputs += journal_outputs(batch, Entry(at=now, stage="route", outcome="unrouted", event_id=""), each)
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
