"""What queries of the journal give back."""

from __future__ import annotations

import msgspec


class EventRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event as it stands; times in epoch seconds."""

    id: str
    type: str
    source: str
    subject: str
    party: str
    route: str
    correlation_id: str
    causation_id: str
    first_at: float
    last_at: float
    state: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to one event."""

    number: int
    event_id: str
    at: float
    stage: str
    outcome: str
    type: str
    subject: str
    party: str
    source: str
    correlation_id: str
    causation_id: str
    route: str
    subscription: str
    attempt: int
    status: int
    reason: str
    topic: str
    partition: int
    offset: int
    dead_letter: str


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event going to one subscription, as it stands."""

    event_id: str
    subscription: str
    state: str
    attempts: int
    status: int
    reason: str
    first_at: float
    at: float


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter: why, where it came from (`origin_*`), where its record stands (`position_*`)."""

    id: str
    fingerprint: str
    stage: str
    reason: str
    field: str
    event_id: str
    type: str
    subject: str
    party: str
    connector: str
    route: str
    subscription: str
    attempts: int
    at: float
    origin_topic: str
    origin_partition: int
    origin_offset: int
    position_topic: str
    position_partition: int
    position_offset: int
    status: str


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters of one kind. `place` is the route or connector; `party` is empty where `parties` is not 1."""

    fingerprint: str
    stage: str
    place: str
    party: str
    parties: int
    reason: str
    count: int
    first_at: float
    last_at: float
    sample: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Items, newest first, and the cursor of the next page; empty at the end."""

    items: list[EventRow]
    next: str = ""


class Tail(msgspec.Struct, frozen=True, kw_only=True):
    """Steps in the order of writing, and the number to go on from."""

    steps: list[Step]
    last: int


class Detail(msgspec.Struct, frozen=True, kw_only=True):
    """All about one event."""

    event: EventRow
    steps: list[Step]
    deliveries: list[DeliveryRow]
    failures: list[Failure]


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Totals: per `stage.outcome`, and what is open."""

    outcomes: dict[str, int]
    open_failures: int
    pending_deliveries: int
