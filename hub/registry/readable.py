"""Event data for people and JSON: what Avro counts in microseconds becomes RFC 3339."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from hub.events.envelope import format_time
from hub.events.model import from_micros
from hub.registry.schemas import Schema


def readable(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `data` with every timestamp field as text in UTC."""
    times = _times(schema)
    return {
        name: format_time(from_micros(value)) if name in times and value is not None else value
        for name, value in data.items()
    }


@lru_cache(maxsize=1024)
def _times(schema: Schema) -> frozenset[str]:
    return frozenset(field.name for field in schema.fields if "timestamp-micros" in str(field.type))
