"""raw.<connector> → events.<domain>: verbatim bytes become canonical events, each fact once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import time
from typing import Any

from hub.delivery.dead_letter import DeadLetter
from hub.events.envelope import Event
from hub.events.ids import derive
from hub.events.kafka import header, to_headers
from hub.registry.codec import CodecError, encode
from hub.registry.schemas import Registry
from hub.sdk.errors import Reject
from hub.sdk.facts import to_event
from hub.sdk.fleet import Fleet
from hub.stream import topics
from hub.stream.parked import SKIP, Held, Parked, Turn
from hub.stream.raw import CASE, CAUSE, INSTANCE, RAW_ID, SOURCE, attributes_of, beside
from hub.stream.records import Batch, Output, Outputs, Record
from hub.stream.redrive import REDRIVE
from hub.stream.routing import Routing, routed
from hub.stream.seen import Seen, Window
from hub.stream.stage import Entries, dead_letter_outputs

_EVENTS = topics.events("")


def ordered_places(fleet: Fleet) -> frozenset[str]:
    """Where order matters: `instance/source` of every source that says so."""
    return frozenset(
        f"{name}/{source.name}"
        for name, member in fleet.members.items()
        for source in member.sources
        if source.ordered
    )


class Translate:
    """The translate stage. A record that cannot be understood is set aside; a repeated fact is dropped.

    With `parked`, a record that is set aside holds up the later ones of its entity, if its source is `ordered`.
    """

    name = "translate"
    pure = False  # it knows by what it has seen which records are repeats
    linger = 0.0

    def __init__(
        self, fleet: Fleet, registry: Registry, seen: Seen, routing: Routing, parked: Parked | None = None
    ) -> None:
        self._routing = routing
        self._fleet = fleet
        self._registry = registry
        self._seen = seen
        self._ordered = ordered_places(fleet)
        self._parked = parked

    def process(self, batches: Sequence[Batch]) -> Sequence[Output | Outputs]:
        """Events and marks of what was seen, dead letters, journal entries."""
        outputs: list[Output] = []
        accepted = Entries(stage="accept", outcome="accepted")
        translated = Entries(stage="translate", at=time())
        for batch in batches:
            seen = self._seen.of(batch)
            held = self._parked.of(batch) if self._parked else None
            if held is not None:
                outputs += held.given_up() + held.opening(batch.records)
            for record in batch.records:
                if header(record.headers, SKIP):
                    continue  # whether or not its source is still ordered: it was archived, and stands as that
                accepted.add(record, **self._accepted(record))
                place = self._place(record) if self._ordered else ""
                if held is not None and place in self._ordered:
                    outputs += self._in_turn(place, record, held, seen, translated)
                    continue
                try:
                    outputs += self._events(record, seen, translated)
                except Reject as reject:
                    if (marks := self._first(record, seen)) is not None:
                        outputs += [*dead_letter_outputs(record, self._letter(record, reject)), *marks]
        return [
            *self._routed(outputs),
            *accepted.outputs(batches[0].place),
            *translated.outputs(batches[0].place),
        ]

    def _routed(self, outputs: list[Output]) -> list[Output | Outputs]:
        """The same, with what the events among them lead to at once: a transaction less on their way."""
        events = [at for at, output in enumerate(outputs) if self._at_once(output)]
        led_to = self._routing.forward([outputs[at] for at in events])
        for at in events:
            outputs[at] = routed(outputs[at])
        return [*outputs, *led_to]

    def _at_once(self, output: Output) -> bool:
        return output.topic.startswith(_EVENTS) and self._routing.at_once(header(output.headers, "ce_type"))

    def _in_turn(
        self, place: str, record: Record, held: Held, seen: Window, translated: Entries
    ) -> list[Output]:
        """As `hub.stream.parked` says how."""
        reject = None
        if held.turn(place, record) is Turn.GO:
            try:
                return self._events(record, seen, translated) + held.passed(place, record)
            except Reject as error:
                reject = error
        marks = self._first(record, seen)
        return [] if marks is None else self._failed(place, record, held, reject) + marks

    def _failed(self, place: str, record: Record, held: Held, reject: Reject | None = None) -> list[Output]:
        """What is written for a record that fails or, before it could, has to wait."""
        if reject is None or held.turn(place, record) is not Turn.GO:
            return held.set_aside(place, record, lambda waits: self._letter(record, waits))
        return held.failed(place, record, self._letter(record, reject))

    def _events(self, record: Record, seen: Window, translated: Entries) -> list[Output]:
        """A record's events that were not seen before, and their marks. Raises Reject before anything is marked."""
        outputs = []
        for event, output in self._translate(record):
            mark = Seen.mark(event.envelope.id)
            fresh = mark not in seen
            if fresh:
                seen.add(mark)
                outputs += [output, Seen.output(mark, record.partition)]
            translated.add(record, **_translated(event, "translated" if fresh else "duplicate"))
        return outputs

    @staticmethod
    def _first(record: Record, seen: Window) -> list[Output] | None:
        """The mark of a record that is to be set aside; None where it lies in the topic twice, and has been.

        The gateway's producer writes a record again, as it is, where Kafka was too slow to confirm it. What a source
        sends again has another time, and what is redriven is told by the dead letter that it was.
        """
        if not (raw_id := header(record.headers, RAW_ID)):
            return []  # not ours
        mark = Seen.mark(derive(record.topic, raw_id, str(record.timestamp), header(record.headers, REDRIVE)))
        if mark in seen:
            return None
        seen.add(mark)
        return [Seen.output(mark, record.partition)]

    def _place(self, record: Record) -> str:
        return f"{header(record.headers, INSTANCE)}/{header(record.headers, SOURCE)}"

    def set_aside(self, batch: Batch, reject: Reject) -> list[Output]:
        """A raw record that cannot go on as a whole."""
        (record,) = batch.records
        accepted = Entries(stage="accept", outcome="accepted")
        accepted.add(record, **self._accepted(record))
        place = self._place(record)
        outputs = self._first(record, self._seen.of(batch))
        if outputs is None:
            return accepted.outputs(batch.place)
        if self._parked is None or place not in self._ordered:
            outputs += dead_letter_outputs(record, self._letter(record, reject))
        else:
            held = self._parked.of(batch)
            outputs += held.opening([record]) + self._failed(place, record, held, reject)
        return [*accepted.outputs(batch.place), *outputs]

    def forget(self, batches: Iterable[Batch]) -> None:
        """Drop what was marked as seen in a batch that did not commit, and what was parked."""
        batches = list(batches)
        self._seen.drop(batches)
        if self._parked is not None:
            self._parked.forget(batches)

    def _translate(self, record: Record) -> list[tuple[Event, Output]]:
        """Every event that a record tells, all or none. Raises Reject."""
        raw_id = header(record.headers, RAW_ID)
        member = self._fleet.member(header(record.headers, INSTANCE))
        source = member.source(header(record.headers, SOURCE))
        facts = source.translate(record.value or b"", attributes_of(record.headers))
        instance, case = member.instance, beside(record.headers, CASE)
        events = [to_event(fact, instance.source, instance.party, raw_id, case) for fact in facts]
        return [(event, self._encode(event)) for event in events]

    def _encode(self, event: Event) -> Output:
        schema = self._registry.by_type(event.envelope.type)
        try:
            value = encode(schema, event.data)
        except CodecError as error:
            raise Reject(str(error), field=error.field, kind="contract") from None
        headers = [*to_headers(event.envelope), ("ce_dataschema", schema.path.encode())]
        topic = topics.events(topics.domain_of(event.envelope.type))
        return Output(topic, event.envelope.subject.encode(), value, headers)

    def _accepted(self, record: Record) -> dict[str, Any]:
        member = self._fleet.members.get(header(record.headers, INSTANCE))
        return {
            "at": record.timestamp / 1000,
            "event_id": header(record.headers, RAW_ID),
            "subject": (record.key or b"").decode(errors="replace"),
            "source": member.instance.source if member else "",
            "party": member.instance.party if member else "",
            "correlation_id": beside(record.headers, CASE),
            "causation_id": beside(record.headers, CAUSE),
        }

    def _letter(self, record: Record, reject: Reject) -> DeadLetter:
        instance = header(record.headers, INSTANCE)
        member = self._fleet.members.get(instance)
        return DeadLetter(
            stage=self.name,
            reason=reject.reason,
            reason_class=reject.kind,
            field=reject.field,
            at=time(),
            event_id=header(record.headers, RAW_ID),
            subject=(record.key or b"").decode(errors="replace"),
            party=member.instance.party if member else "",
            source=member.instance.source if member else "",
            connector=record.topic.removeprefix("raw."),
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            attempts=1,
        )


def _translated(event: Event, outcome: str) -> dict[str, Any]:
    envelope = event.envelope
    return {
        "outcome": outcome,
        "event_id": envelope.id,
        "type": envelope.type,
        "subject": envelope.subject,
        "party": envelope.party,
        "source": envelope.source,
        "correlation_id": envelope.correlation_id,
        "causation_id": envelope.causation_id,
    }
