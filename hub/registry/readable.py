"""Event data for people and JSON: what Avro counts in microseconds becomes RFC 3339."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from hub.events.envelope import format_time
from hub.events.model import from_micros
from hub.registry.schemas import Schema
from hub.registry.values import CodecError

#: Gives a value as people read it; told where in the data it is.
Reader = Callable[[Any, str], Any]


def readable(schema: Schema, data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `data` with every time in it, however deep, as text in UTC.

    Raises `CodecError` for a time that no calendar has.
    """
    told: dict[str, Any] = _of_schema(schema)(data, "")
    return told


@lru_cache(maxsize=1024)
def _of_schema(schema: Schema) -> Reader:
    return _of_record(schema.definition)


def _of_record(record: Mapping[str, Any]) -> Reader:
    names = [field["name"] for field in record["fields"]]
    readers = [(field["name"], reader) for field in record["fields"] if (reader := _of(field["type"]))]

    def read(data: Mapping[str, Any], where: str) -> dict[str, Any]:
        found = {name: data[name] for name in names if name in data}
        for name, reader in readers:
            if (value := found.get(name)) is not None:
                found[name] = reader(value, f"{where}.{name}" if where else name)
        return found

    return read


def _of(kind: Any) -> Reader | None:
    """How values of a type are read, null apart; None where there is no time in them."""
    bare = next((branch for branch in kind if branch != "null"), None) if isinstance(kind, list) else kind
    if not isinstance(bare, Mapping):
        return None
    if bare.get("logicalType") == "timestamp-micros":
        return _time
    match bare["type"]:
        case "record":
            return _of_record(bare)
        case "array":
            return _of_array(_of(bare["items"]))
        case "map":
            return _of_map(_of(bare["values"]))
    return None


def _of_array(item: Reader | None) -> Reader | None:
    if item is None:
        return None
    return lambda values, where: [
        None if value is None else item(value, f"{where}.{at}") for at, value in enumerate(values)
    ]


def _of_map(item: Reader | None) -> Reader | None:
    if item is None:
        return None
    return lambda values, where: {  # a key may be anybody's text, so the error leaves it out
        key: None if value is None else item(value, f"{where}.*") for key, value in values.items()
    }


def _time(micros: int, where: str) -> str:
    try:
        return format_time(from_micros(micros))
    except OverflowError:
        raise CodecError("a time outside the years 1 to 9999", where) from None
