"""One thing that happened to one event, as it travels on the topic `hub.journal`: metadata, never payload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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


class _Alike(msgspec.Struct, frozen=True):
    """Entries that are alike: what they share, and column by column what they do not."""

    same: dict[str, Any]
    each: dict[str, list[Any]]


_encode = msgspec.json.Encoder().encode
_decode_one = msgspec.json.Decoder(Entry).decode
_decode_alike = msgspec.json.Decoder(_Alike).decode


def packed(same: Entry, each: Mapping[str, Sequence[Any]]) -> bytes:
    """Many entries in one value: those of `same` with, for entry n, item n of each column over it.

    A hundredth of the work and a tenth of the bytes of that many entries.
    """
    return _encode({"same": same, "each": each})


def entries(value: bytes) -> list[Entry]:
    """The entries in the value of a record of `hub.journal`. Raises msgspec.DecodeError."""
    if not value.startswith(b'{"same":'):
        return [_decode_one(value)]
    alike = _decode_alike(value)
    rows = zip(*alike.each.values(), strict=True)
    try:
        return msgspec.convert(
            [{**alike.same, **dict(zip(alike.each, row, strict=True))} for row in rows], list[Entry]
        )
    except ValueError as error:  # columns of different lengths
        raise msgspec.DecodeError(str(error)) from None


# Of two things that happened in the same instant, the one further on the way is where an event stands.
_WAY = (
    "refused accepted duplicate translated unrouted routed replayed attempt-failed dead-lettered redriven archived"
    " ended delivered"
).split()
_RANK = {outcome: place for place, outcome in enumerate(_WAY, start=1)}


def rank(outcome: str) -> int:
    """How far on the way an outcome is; 0 for one that only a later hub knows."""
    return _RANK.get(outcome, 0)
