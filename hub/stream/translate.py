"""raw.<connector> → events.<domain>: verbatim bytes become canonical events, each fact once."""

from __future__ import annotations

from collections.abc import Iterable
from time import time

from hub.delivery.dead_letter import DeadLetter
from hub.events.envelope import Event
from hub.events.kafka import header, to_headers
from hub.journal.entry import Entry
from hub.registry.codec import CodecError, encode
from hub.registry.schemas import Registry
from hub.sdk.errors import Reject
from hub.sdk.facts import to_event
from hub.sdk.fleet import Fleet
from hub.stream import topics
from hub.stream.raw import INSTANCE, RAW_ID, SOURCE, attributes_of
from hub.stream.records import Batch, Output, Record
from hub.stream.seen import Seen
from hub.stream.stage import dead_letter_outputs, journal_output


class Translate:
    """The translate stage. A record that cannot be understood is set aside; a repeated fact is dropped."""

    name = "translate"
    pure = False  # it knows by what it has seen which records are repeats

    def __init__(self, fleet: Fleet, registry: Registry, seen: Seen) -> None:
        self._fleet = fleet
        self._registry = registry
        self._seen = seen

    def process(self, batch: Batch) -> list[Output]:
        """Events, dead letters, marks of what was seen, journal entries."""
        outputs: list[Output] = []
        seen = self._seen.of(batch)
        for record in batch.records:
            outputs.append(journal_output(self._accepted(record)))
            try:
                outputs.extend(self._translate(record, seen, batch.partition))
            except Reject as reject:
                outputs.extend(dead_letter_outputs(record, self._letter(record, reject)))
        return outputs

    def forget(self, batches: Iterable[Batch]) -> None:
        """Drop what was marked as seen in a batch that did not commit."""
        self._seen.drop(batches)

    def _translate(self, record: Record, seen: set[bytes], partition: int) -> list[Output]:
        raw_id = header(record.headers, RAW_ID)
        member = self._fleet.member(header(record.headers, INSTANCE))
        source = member.source(header(record.headers, SOURCE))
        facts = source.translate(record.value or b"", attributes_of(record.headers))
        events = [to_event(fact, member.instance.source, member.instance.party, raw_id) for fact in facts]
        encoded = [self._encode(event) for event in events]  # all or none: before anything is marked
        outputs: list[Output] = []
        for event, output in zip(events, encoded, strict=True):
            mark = Seen.mark(event.envelope.id)
            fresh = mark not in seen
            if fresh:
                seen.add(mark)
                outputs += [output, Seen.output(mark, partition)]
            outputs.append(journal_output(_translated(event, record, "translated" if fresh else "duplicate")))
        return outputs

    def _encode(self, event: Event) -> Output:
        schema = self._registry.by_type(event.envelope.type)
        try:
            value = encode(schema, event.data)
        except CodecError as error:
            raise Reject(str(error), field=error.field, kind="contract") from None
        headers = [*to_headers(event.envelope), ("ce_dataschema", f"/schemas/ids/{schema.id}".encode())]
        topic = topics.events(topics.domain_of(event.envelope.type))
        return Output(topic, event.envelope.subject.encode(), value, headers)

    def _accepted(self, record: Record) -> Entry:
        member = self._fleet.members.get(header(record.headers, INSTANCE))
        return Entry(
            at=record.timestamp / 1000,
            stage="accept",
            outcome="accepted",
            event_id=header(record.headers, RAW_ID),
            subject=(record.key or b"").decode(errors="replace"),
            source=member.instance.source if member else "",
            party=member.instance.party if member else "",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )

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


def _translated(event: Event, record: Record, outcome: str) -> Entry:
    envelope = event.envelope
    return Entry(
        at=time(),
        stage="translate",
        outcome=outcome,
        event_id=envelope.id,
        type=envelope.type,
        subject=envelope.subject,
        party=envelope.party,
        source=envelope.source,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )
