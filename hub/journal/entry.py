"""One thing that happened to one event, as it travels on the topic `hub.journal`: metadata, never payload."""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`at` is in epoch seconds.

    `stage` is accept, translate, route, deliver, sink, redrive or replay; `outcome` accepted, refused,
    translated, duplicate, routed, unrouted, delivered, attempt-failed, ended, dead-lettered, redriven, archived
    or replayed.
    """

    at: float
    stage: str
    outcome: str
    event_id: str
    type: str = ""
    subject: str = ""
    party: str = ""
    source: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    route: str = ""
    subscription: str = ""
    attempt: int = 0
    status: int = 0
    reason: str = ""
    fingerprint: str = ""
    topic: str = ""
    partition: int = -1
    offset: int = -1
    dead_letter: str = ""
    trace: str = ""


# Of two things that happened in the same instant, the one further on the way is where an event stands.
_WAY = (
    "refused accepted duplicate translated unrouted routed replayed attempt-failed dead-lettered redriven archived"
    " ended delivered"
).split()
_RANK = {outcome: place for place, outcome in enumerate(_WAY, start=1)}


def rank(outcome: str) -> int:
    """How far on the way an outcome is; 0 for one that only a later hub knows."""
    return _RANK.get(outcome, 0)
