"""Dead letters: what could not go on, why, and where it came from.

A dead letter is a Kafka record whose key, value and own headers are the failed record's, verbatim, with those
of `DeadLetter.headers` beside them. So sending it again needs nothing else: `own_headers` takes ours off.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

import msgspec

from hub.events.ids import derive

Headers = list[tuple[str, bytes]]

_PREFIX = "hub-dl-"
_REASON_LIMIT = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_INDEX = re.compile(r"(?<![^.\[])\d+(?![^.\]])")


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One failure of one record at one place. `id` and `fingerprint` are derived when left empty.

    The same record failing twice at the same place has the same `id`, so a repeat is one dead letter.
    `reason` is for people and free of personal data; `reason_class` is its kind (`missing-field`, `http-500`,
    an exception's name) and, unlike `reason`, part of the fingerprint. `topic`, `partition` and `offset` are
    the record's origin, `at` is epoch seconds, `schema_id` 0 where the value has no schema.
    """

    stage: str
    reason: str
    reason_class: str
    topic: str
    partition: int
    offset: int
    at: float
    field: str = ""
    event_id: str = ""
    type: str = ""
    subject: str = ""
    party: str = ""
    source: str = ""
    correlation_id: str = ""
    connector: str = ""
    route: str = ""
    subscription: str = ""
    attempts: int = 0
    schema_id: int = 0
    id: str = ""
    fingerprint: str = ""

    def __post_init__(self) -> None:
        """Fills in what is derived, and keeps `reason` to one short line: logs and terminals show it."""
        fill = msgspec.structs.force_setattr
        fill(self, "reason", _CONTROL.sub(" ", self.reason)[:_REASON_LIMIT])
        if not self.id:
            origin = (self.topic, str(self.partition), str(self.offset))
            place = (self.stage, self.connector, self.route, self.subscription)
            fill(self, "id", derive("dead-letter", *origin, *place))
        if not self.fingerprint:
            # Not by subscription: one event type failing at forty subscribers for one reason is one kind.
            place_name = self.route or self.connector
            fill(self, "fingerprint", fingerprint(self.stage, place_name, self.reason_class, self.field))

    def headers(self) -> Headers:
        """Kafka headers `hub-dl-*` in UTF-8; what is empty is left out."""
        return [
            (_header_name(name), str(value).encode("utf-8", "replace"))
            for name, value in msgspec.to_builtins(self).items()
        ]

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes | None]]) -> DeadLetter:
        """The reverse of `headers`; others are passed over. Raises ValueError naming what is wrong."""
        fields: dict[str, str] = {}
        for name, value in headers:
            if name.startswith(_PREFIX) and value is not None:
                try:
                    fields[name[len(_PREFIX) :].replace("-", "_")] = value.decode()
                except UnicodeDecodeError:
                    raise ValueError(f"{name}: not UTF-8") from None
        try:
            # `strict=False` reads numbers from text, which is all that headers can carry.
            return msgspec.convert(fields, cls, strict=False)
        except msgspec.ValidationError as error:
            raise ValueError(f"not the headers of a dead letter: {error}") from None


def fingerprint(stage: str, place: str, reason_class: str, field: str = "") -> str:
    """12 hex characters that are the same for the same kind of failure, whichever record it was.

    `place` is the connector or route. Positions in lists do not count: `items.3.amount` is `items.7.amount`.
    """
    parts = (stage, place, reason_class, _INDEX.sub("*", field))
    return hashlib.sha256("\x1f".join(parts).encode("utf-8", "replace")).hexdigest()[:12]


def own_headers(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
    """The headers that the record had before it became a dead letter, for sending it again."""
    return [(name, value) for name, value in headers if not name.startswith(_PREFIX)]


def _header_name(field: str) -> str:
    return _PREFIX + field.replace("_", "-")
