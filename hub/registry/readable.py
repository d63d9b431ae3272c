"""Event data for people and JSON: what Avro counts in microseconds becomes RFC 3339."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hub.events.envelope import format_time
from hub.events.model import from_micros
from hub.registry.schemas import Schema
from hub.registry.values import CodecError


def readable(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `data` with every time in it, however deep, as text in UTC.

    Raises `CodecError` for a time that no calendar has.
    """
    return _record(schema.definition, data, "")


def _record(record: Mapping[str, Any], data: Mapping[str, Any], path: str) -> dict[str, Any]:
    return {
        name: _readable(field["type"], data[name], f"{path}{name}")
        for field in record["fields"]
        if (name := field["name"]) in data
    }


def _readable(kind: Any, value: Any, where: str) -> Any:
    bare = next((branch for branch in kind if branch != "null"), None) if isinstance(kind, list) else kind
    if value is None or not isinstance(bare, Mapping):
        return value
    if bare.get("logicalType") == "timestamp-micros":
        return _time(value, where)
    match bare["type"]:
        case "record":
            return _record(bare, value, f"{where}.")
        case "array":
            return [_readable(bare["items"], item, f"{where}.{at}") for at, item in enumerate(value)]
        case "map":  # a key may be anybody's text, so the error leaves it out
            return {key: _readable(bare["values"], item, f"{where}.*") for key, item in value.items()}
    return value


def _time(micros: int, where: str) -> str:
    try:
        return format_time(from_micros(micros))
    except OverflowError:
        raise CodecError("a time outside the years 1 to 9999", where) from None
