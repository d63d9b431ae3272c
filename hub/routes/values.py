"""Event data as people write it in a case: times as text, fields at their default left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hub.events.envelope import parse_time
from hub.events.model import to_micros
from hub.registry.codec import decode, encode
from hub.registry.schemas import Registry, Schema

ABSENT = object()
"""Stands for a field that one side does not have."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field, by its dotted name, that is not what was expected; `ABSENT` where one side has none."""

    field: str
    expected: Any
    came: Any


def completed(record: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Data for the codec: RFC 3339 texts in time fields as microseconds, defaults where a field is left out.

    What does not fit is left for the codec to refuse: unknown and missing fields, wrong types, texts that are no time.
    """
    found = dict(data)
    for field in record["fields"]:
        name = field["name"]
        if name in data:
            found[name] = _converted(field["type"], data[name])
        elif "default" in field:
            found[name] = field["default"]
    return found


def through(schema: Schema, registry: Registry, data: Mapping[str, Any]) -> dict[str, Any]:
    """Data as a case has it, once through the codec. Raises CodecError for what the contract does not take."""
    return decode(encode(schema, completed(schema.definition, data)), registry)[1]


def shortened(record: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The reverse, as far as fields at their default go: they are left out."""
    defaults = {field["name"]: field["default"] for field in record["fields"] if "default" in field}
    return {name: value for name, value in data.items() if name not in defaults or defaults[name] != value}


def differences(name: str, expected: Any, came: Any) -> Iterator[Difference]:
    """Every field below `name` that differs; lists are compared whole."""
    if isinstance(expected, Mapping) and isinstance(came, Mapping):
        for key in dict.fromkeys([*expected, *came]):
            yield from differences(f"{name}.{key}", expected.get(key, ABSENT), came.get(key, ABSENT))
    elif expected is ABSENT or came is ABSENT or expected != came:
        yield Difference(name, expected, came)


def _converted(kind: Any, value: Any) -> Any:
    bare = next((branch for branch in kind if branch != "null"), None) if isinstance(kind, list) else kind
    if not isinstance(bare, Mapping):
        return value
    if bare.get("logicalType") == "timestamp-micros" and isinstance(value, str):
        try:
            return to_micros(parse_time(value))
        except ValueError:
            return value
    if bare["type"] == "record" and isinstance(value, Mapping):
        return completed(bare, value)
    if bare["type"] == "array" and isinstance(value, list):
        return [_converted(bare["items"], item) for item in value]
    if bare["type"] == "map" and isinstance(value, Mapping):
        return {key: _converted(bare["values"], item) for key, item in value.items()}
    return value
