"""A record of an inbox as its recipients need it: read once and written once, for all of them and all attempts."""

from __future__ import annotations

from collections.abc import Mapping

from hub.delivery.http import REPLAY_HEADER, Content
from hub.events.envelope import Envelope, Event
from hub.registry.codec import CodecError, decode
from hub.registry.readable import readable
from hub.registry.schemas import Registry, Schema
from hub.sdk.errors import Reject

#: On a replayed record, and as an HTTP header on its deliveries: the plan's id.
REPLAY = REPLAY_HEADER

_PREFIX = "ce_"


class Message:
    """One record, in the shape of one; `texts` are its headers, `timestamp` is in milliseconds."""

    __slots__ = (
        "__weakref__",
        "_content",
        "_read",
        "offset",
        "partition",
        "texts",
        "timestamp",
        "topic",
        "value",
    )

    def __init__(
        self, place: tuple[str, int, int], texts: Mapping[str, str], value: bytes, timestamp: int
    ) -> None:
        self.topic, self.partition, self.offset = place
        self.texts = texts
        self.value = value
        self.timestamp = timestamp
        self._read: tuple[Schema, Event] | None = None
        self._content: Content | None = None

    @property
    def subject(self) -> str:
        """The entity; empty in a record that is no event."""
        return self.texts.get("ce_subject", "")

    @property
    def id(self) -> str:
        """The event's."""
        return self.texts.get("ce_id", "")

    @property
    def key(self) -> bytes:
        """Kafka's."""
        return self.subject.encode()

    @property
    def headers(self) -> list[tuple[str, bytes]]:
        """Kafka's."""
        return [(name, text.encode()) for name, text in self.texts.items() if text]

    def event(self, registry: Registry) -> Event:
        """The event. Raises Reject."""
        return self._once(registry)[1]

    def content(self, registry: Registry) -> Content:
        """The event as subscribers read it, times as RFC 3339. Raises Reject."""
        if self._content is None:
            schema, event = self._once(registry)
            try:
                data = readable(schema, event.data)
            except CodecError as error:
                raise _reject(error) from None
            self._content = Content(event.envelope, data, self.texts.get(REPLAY, ""))
        return self._content

    def _once(self, registry: Registry) -> tuple[Schema, Event]:
        if self._read is None:
            attributes = {
                name[len(_PREFIX) :]: text for name, text in self.texts.items() if name.startswith(_PREFIX)
            }
            try:
                schema, data = decode(self.value, registry)
                self._read = schema, Event(Envelope.from_attributes(attributes), data)
            except CodecError as error:
                raise _reject(error) from None
            except ValueError as error:
                raise Reject(str(error), field=str(error).partition(":")[0], kind="envelope") from None
        return self._read


def _reject(error: CodecError) -> Reject:
    return Reject(f"data: {error}", field=error.field, kind="codec")
