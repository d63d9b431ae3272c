"""What today's connectors, contracts and routes would make of a record: the stages' work without its effects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hub.events.envelope import Event
from hub.events.kafka import header
from hub.loading import Loaded
from hub.registry.codec import CodecError, encode
from hub.routes.engine import Engine, Refused, Routed
from hub.sdk.errors import Reject
from hub.sdk.facts import to_event
from hub.stream.translate import INSTANCE, RAW_ID, SOURCE

Headers = Iterable[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class Made:
    """An output event of a route as it would stand in the party's inbox."""

    route: str
    party: str
    event: Event
    value: bytes


class Trial:
    """The hub as it is configured now, to be asked about single records. Makes no output and no mark."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._engine: Engine = loaded.engine

    def translate(self, headers: Headers, value: bytes) -> list[Event]:
        """The events of a raw record, each fit for its contract. Raises Reject."""
        headers = list(headers)
        member = self._loaded.fleet.member(header(headers, INSTANCE))
        facts = member.source(header(headers, SOURCE)).translate(value)
        instance = member.instance
        events = [to_event(fact, instance.source, instance.party, header(headers, RAW_ID)) for fact in facts]
        for event in events:
            self.encode(event)
        return events

    def route(self, event: Event) -> tuple[list[Made], list[Refused]]:
        """What the routes make of an event, and which of them refuse it."""
        routed, refused = self._engine.run([event])
        made: list[Made] = []
        for one in routed:
            try:
                made.append(Made(one.route, one.party, one.event, self.encode(one.event)))
            except Reject as reject:
                refused.append(_refused(one, reject))
        return made, refused

    def encode(self, event: Event) -> bytes:
        """The event's data by its contract. Raises Reject."""
        try:
            return encode(self._loaded.registry.by_type(event.envelope.type), event.data)
        except CodecError as error:
            raise Reject(str(error), field=error.field, kind="contract") from None


def _refused(routed: Routed, reject: Reject) -> Refused:
    return Refused(routed.row, routed.route, reject.reason, reject.field)
