"""What today's connectors, contracts and routes would make of a record: the stages' work without its effects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hub.events.envelope import Event
from hub.events.kafka import header
from hub.loading import Loaded
from hub.registry.codec import CodecError, encode
from hub.routes.engine import Engine, Made, Refused
from hub.sdk.errors import Reject
from hub.sdk.facts import to_event
from hub.stream.raw import CASE, INSTANCE, RAW_ID, SOURCE, attributes_of, beside

Headers = Iterable[tuple[str, bytes | None]]


class Trial:
    """The hub as it is configured now, to be asked about single records. Makes no output and no mark."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._engine: Engine = loaded.engine
        self.registry = loaded.registry

    def translate(self, headers: Headers, value: bytes) -> list[Event]:
        """The events of a raw record, each fit for its contract. Raises Reject."""
        headers = list(headers)
        member = self._loaded.fleet.member(header(headers, INSTANCE))
        facts = member.source(header(headers, SOURCE)).translate(value, attributes_of(headers))
        instance = member.instance
        told = (header(headers, RAW_ID), beside(headers, CASE))
        events = [to_event(fact, instance.source, instance.party, *told) for fact in facts]
        for event in events:
            self.encode(event)
        return events

    def route(self, events: Sequence[Event]) -> tuple[list[Made], list[Refused]]:
        """What the routes make of events, in their order, and which of them refuse which."""
        return self._engine.run_events(events)

    def encode(self, event: Event) -> bytes:
        """The event's data by its contract. Raises Reject."""
        try:
            return encode(self.registry.by_type(event.envelope.type), event.data)
        except CodecError as error:
            raise Reject(str(error), field=error.field, kind="contract") from None
