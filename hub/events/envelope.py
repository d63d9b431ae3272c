"""The envelope of an event: its CloudEvents 1.0 attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

SPEC_VERSION = "1.0"

#: CloudEvents names of an envelope's attributes, in the order in which they are written.
ATTRIBUTES = (
    "specversion id source type subject time party correlationid causationid traceparent dataschema".split()
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """CloudEvents attributes; the last four before `dataschema` are extensions of it.

    `source` + `id` is unique. `subject` is the entity, and the Kafka key. `party` is the organisation whose
    fact it is: a council by its GSS code, a central body by slug. `correlation_id` is the case that the event
    belongs to, `causation_id` the raw record or event that led to it, `traceparent` the W3C trace context.
    """

    id: str
    source: str
    type: str
    subject: str
    time: datetime
    party: str
    correlation_id: str
    causation_id: str
    traceparent: str
    dataschema: str = ""

    def attributes(self) -> dict[str, str]:
        """CloudEvents attribute names to their text; empty ones are left out, as the standard asks."""
        named = {
            "specversion": SPEC_VERSION,
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": format_time(self.time),
            "party": self.party,
            "correlationid": self.correlation_id,
            "causationid": self.causation_id,
            "traceparent": self.traceparent,
            "dataschema": self.dataschema,
        }
        return {name: text for name, text in named.items() if text}

    @classmethod
    def from_attributes(cls, attributes: Mapping[str, str]) -> Envelope:
        """The reverse of `attributes`. Raises ValueError that names the attribute at fault."""
        if attributes.get("specversion", SPEC_VERSION) != SPEC_VERSION:
            raise ValueError("specversion: only CloudEvents 1.0 is understood")
        for name in ("id", "source", "type", "subject", "time"):
            if not attributes.get(name):
                raise ValueError(f"{name}: missing from the event's envelope")
        return cls(
            id=attributes["id"],
            source=attributes["source"],
            type=attributes["type"],
            subject=attributes["subject"],
            time=parse_time(attributes["time"]),
            party=attributes.get("party", ""),
            correlation_id=attributes.get("correlationid", ""),
            causation_id=attributes.get("causationid", ""),
            traceparent=attributes.get("traceparent", ""),
            dataschema=attributes.get("dataschema", ""),
        )


@dataclass(frozen=True, slots=True)
class Event:
    """One event: envelope and Avro-ready plain data (numbers, texts, mappings, lists)."""

    envelope: Envelope
    data: dict[str, Any]


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with a `Z`. A time without zone is refused rather than guessed."""
    if moment.tzinfo is None:
        raise ValueError("time: has no time zone")
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """An RFC 3339 time as an aware UTC datetime. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("time: not an RFC 3339 time") from None
    if moment.tzinfo is None:
        raise ValueError("time: has no time zone")
    return moment.astimezone(UTC)
