"""raw.<connector> → events.<domain>: verbatim bytes become canonical events, each fact once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import time
from typing import Any

from hub.delivery.dead_letter import DeadLetter
from hub.events.envelope import Event
from hub.events.kafka import header, to_headers
from hub.registry.codec import CodecError, encode
from hub.registry.schemas import Registry
from hub.sdk.errors import Reject
from hub.sdk.facts import to_event
from hub.sdk.fleet import Fleet
from hub.stream import topics
from hub.stream.records import Batch, Output, Record
from hub.stream.seen import Seen
from hub.stream.stage import Entries, dead_letter_outputs

#: Headers of a raw record, written by whoever accepted it.
RAW_ID, INSTANCE, SOURCE = "hub-id", "hub-instance", "hub-source"


class Translate:
    """The translate stage. A record that cannot be understood is set aside; a repeated fact is dropped."""

    name = "translate"
    pure = False  # it knows by what it has seen which records are repeats
    linger = 0.0

    def __init__(self, fleet: Fleet, registry: Registry, seen: Seen) -> None:
        self._fleet = fleet
        self._registry = registry
        self._seen = seen

    def process(self, batches: Sequence[Batch]) -> list[Output]:
        """Events and marks of what was seen, dead letters, journal entries."""
        outputs: list[Output] = []
        accepted = Entries(stage="accept", outcome="accepted")
        translated = Entries(stage="translate", at=time())
        for batch in batches:
            seen = self._seen.of(batch)
            for record in batch.records:
                accepted.add(record, **self._accepted(record))
                try:
                    for event, output in self._translate(record):
                        mark = Seen.mark(event.envelope.id)
                        fresh = mark not in seen
                        if fresh:
                            seen.add(mark)
                            outputs += [output, Seen.output(mark, batch.partition)]
                        translated.add(record, **_translated(event, "translated" if fresh else "duplicate"))
                except Reject as reject:
                    outputs += dead_letter_outputs(record, self._letter(record, reject))
        return [*outputs, *accepted.outputs(batches[0]), *translated.outputs(batches[0])]

    def forget(self, batches: Iterable[Batch]) -> None:
        """Drop what was marked as seen in a batch that did not commit."""
        self._seen.drop(batches)

    def _translate(self, record: Record) -> list[tuple[Event, Output]]:
        """Every event that a record tells, all or none. Raises Reject."""
        raw_id = header(record.headers, RAW_ID)
        member = self._fleet.member(header(record.headers, INSTANCE))
        facts = member.source(header(record.headers, SOURCE)).translate(record.value or b"")
        events = [to_event(fact, member.instance.source, member.instance.party, raw_id) for fact in facts]
        return [(event, self._encode(event)) for event in events]

    def _encode(self, event: Event) -> Output:
        schema = self._registry.by_type(event.envelope.type)
        try:
            value = encode(schema, event.data)
        except CodecError as error:
            raise Reject(str(error), field=error.field, kind="contract") from None
        headers = [*to_headers(event.envelope), ("ce_dataschema", f"/schemas/ids/{schema.id}".encode())]
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
