"""Derived identifiers: the same input always gives the same id, so a repeat is recognisable everywhere."""

from __future__ import annotations

import hashlib
import uuid

# Fixed for ever: changing it would change every event id.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "integration-hub.events")


def derive(*parts: str) -> str:
    """A UUIDv5 over `parts`; the unit separator keeps ("a", "bc") and ("ab", "c") apart."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))


def begun(*parts: str) -> bytes:
    """What `derive` hashes before the last part: for who derives many ids that differ in that alone."""
    return _NAMESPACE.bytes + "".join(part + "\x1f" for part in parts).encode()


def traceparent(correlation_id: str, event_id: str) -> str:
    """A W3C trace context (level 1): one trace per case, one span per event, from an id that `derive` made.

    Derived rather than drawn, so that a repeated event continues the same trace.
    """
    trace = hashlib.blake2b(correlation_id.encode(), digest_size=16).hexdigest()
    return f"00-{trace}-{event_id.replace('-', '')[:16]}-01"
