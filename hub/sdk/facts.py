"""What a source says happened, before the hub makes an event of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hub.events.envelope import Envelope, Event
from hub.events.ids import derive, traceparent
from hub.events.model import EventData


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened in the source system.

    `subject` is the entity (order is kept per subject). `time` is when it happened there, not when we heard.
    `key` tells this fact from every other of the same instance and type: two reports of one fact (a webhook
    sent twice, the webhook and the poller) must give the same key, and so become one event. `case` groups the
    facts of one citizen's case; left empty, the subject is the case. `correlation_id` is for a system that was
    told it with an event and now gives it back: the fact then belongs to that event's case.
    """

    data: EventData
    subject: str
    time: datetime
    key: str
    case: str = ""
    correlation_id: str = ""


def source_uri(connector: str, instance: str) -> str:
    """The CloudEvents `source` of everything that an instance publishes."""
    return f"/connectors/{connector}/{instance}"


def to_event(fact: Fact, source: str, party: str, causation_id: str, case: str = "") -> Event:
    """The event of a fact: same fact, same id, whoever reports it and how often.

    `case` is the correlation id of the event that led to it, where it tells what came of a delivery.
    """
    event_id = derive(source, fact.data.type, fact.key)
    correlation_id = case or fact.correlation_id or derive("case", source, fact.case or fact.subject)
    envelope = Envelope(
        id=event_id,
        source=source,
        type=fact.data.type,
        subject=fact.subject,
        time=fact.time,
        party=party,
        correlation_id=correlation_id,
        causation_id=causation_id,
        traceparent=traceparent(correlation_id, event_id),
    )
    return Event(envelope, fact.data.to_avro())
