"""Event data as JSON for subscribers: as the contract has it, with times that people and libraries read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from hub.events.envelope import format_time
from hub.registry.schemas import Schema

Render = Callable[[Any], Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1024)
def renderer(schema: Schema) -> Render:
    """What makes plain Avro values of `schema` ready for JSON: `timestamp-micros` as RFC 3339 text in UTC.

    Everything else stays as it is; bytes are for the JSON encoder, which writes base64.
    """
    return _render(schema.definition, {}) or _same


def _render(kind: Any, named: dict[str, Render | None]) -> Render | None:
    """None where nothing is to be done, so that data without times costs nothing."""
    if isinstance(kind, list):
        branches = [found for one in kind if (found := _render(one, named))]
        # Contracts have no union of several that need work: only `null` beside one type.
        return _unless_null(branches[0]) if branches else None
    if isinstance(kind, str):
        return named.get(kind)
    if kind.get("logicalType") == "timestamp-micros":
        return _time
    inner = kind["type"]
    if inner == "record":
        fields = [(one["name"], found) for one in kind["fields"] if (found := _render(one["type"], named))]
        found = named[kind["name"]] = _record(fields) if fields else None
        return found
    if inner in ("array", "map"):
        item = _render(kind["items" if inner == "array" else "values"], named)
        return None if item is None else _list(item) if inner == "array" else _map(item)
    return _render(inner, named) if isinstance(inner, dict | list) else None


def _same(value: Any) -> Any:
    return value


def _time(micros: int) -> str | int:
    try:
        return format_time(_EPOCH + timedelta(microseconds=micros))
    except OverflowError:  # a time that no calendar has: better a number than no event
        return micros


def _unless_null(render: Render) -> Render:
    return lambda value: None if value is None else render(value)


def _record(fields: list[tuple[str, Render]]) -> Render:
    def record(value: dict[str, Any]) -> dict[str, Any]:
        rendered = dict(value)
        for name, render in fields:
            if name in rendered:
                rendered[name] = render(rendered[name])
        return rendered

    return record


def _list(render: Render) -> Render:
    return lambda values: [render(value) for value in values]


def _map(render: Render) -> Render:
    return lambda values: {name: render(value) for name, value in values.items()}
