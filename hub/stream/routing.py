"""events.<domain> → inbox.<party>: every route that takes an event sends its mapping to the party's inbox."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import time
from typing import Any

from hub.delivery.dead_letter import DeadLetter
from hub.events.envelope import Event
from hub.events.kafka import from_headers, header, to_headers
from hub.journal.entry import Entry
from hub.registry.codec import CodecError, decode, encode
from hub.registry.schemas import Registry
from hub.routes.engine import Engine, Refused, Routed
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.records import Batch, Output, Record
from hub.stream.stage import dead_letter_outputs, journal_output

#: On a redriven record: the one route or subscription that it is for, since the others have it already.
ONLY = "hub-only"


class Routing:
    """The route stage."""

    name = "route"

    def __init__(self, engine: Engine, registry: Registry) -> None:
        self._engine = engine
        self._registry = registry

    def process(self, batch: Batch) -> list[Output]:
        """Inbox records, dead letters and journal entries, in the order of the batch."""
        outputs: list[Output] = []
        read: list[tuple[Record, Event]] = []
        for record in batch.records:
            try:
                read.append((record, event_of(record, self._registry)))
            except Reject as reject:
                outputs.extend(dead_letter_outputs(record, letter_of(record, self.name, reject)))
        routed, refused = self._engine.run([event for _, event in read])
        for one in routed:
            if _wanted(read[one.row][0], one.route):
                outputs.extend(self._forward(one, read[one.row][0]))
        for fault in refused:
            record, event = read[fault.row]
            if _wanted(record, fault.route):
                outputs.extend(dead_letter_outputs(record, _refusal(record, event, fault)))
        outputs.extend(_unrouted(read, routed, refused))
        return outputs

    def forget(self, batches: Iterable[Batch]) -> None:
        """Nothing is kept between batches."""

    def _forward(self, routed: Routed, record: Record) -> list[Output]:
        envelope = routed.event.envelope
        try:
            value = encode(self._registry.by_type(envelope.type), routed.event.data)
        except CodecError as error:
            reject = Reject(str(error), field=error.field, kind="contract")
            letter = letter_of(record, self.name, reject, route=routed.route)
            return dead_letter_outputs(record, letter)
        topic = topics.inbox(routed.party)
        entry = Entry(
            at=time(),
            stage="route",
            outcome="routed",
            event_id=envelope.id,
            type=envelope.type,
            subject=envelope.subject,
            party=routed.party,
            source=envelope.source,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.causation_id,
            route=routed.route,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        sent = Output(topic, envelope.subject.encode(), value, to_headers(envelope))
        return [sent, journal_output(entry)]


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


def _refusal(record: Record, event: Event, fault: Refused) -> DeadLetter:
    reject = Reject(f"route {fault.route}: {fault.reason}", field=fault.field, kind="mapping")
    return letter_of(record, "route", reject, route=fault.route)


def _wanted(record: Record, route: str) -> bool:
    only = header(record.headers, ONLY)
    return not only or only == route


def _unrouted(
    read: Sequence[tuple[Record, Event]], routed: Sequence[Routed], refused: Sequence[Refused]
) -> list[Output]:
    met = {one.row for one in routed} | {fault.row for fault in refused}
    return [
        journal_output(
            Entry(
                at=time(),
                stage="route",
                outcome="unrouted",
                event_id=event.envelope.id,
                type=event.envelope.type,
                subject=event.envelope.subject,
                party=event.envelope.party,
                source=event.envelope.source,
                correlation_id=event.envelope.correlation_id,
                causation_id=event.envelope.causation_id,
            )
        )
        for row, (record, event) in enumerate(read)
        if row not in met
    ]
