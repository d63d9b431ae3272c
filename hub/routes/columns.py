"""Between event data and columns: which columns a schema has, and a frame of the columns that a route reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from hub.events.envelope import Event
from hub.routes.declaration import ENVELOPE_COLUMNS

Columns = dict[str, pl.DataType | type[pl.DataType]]

_PRIMITIVES: Mapping[str, type[pl.DataType]] = {
    "string": pl.String,
    "long": pl.Int64,
    "int": pl.Int32,
    "boolean": pl.Boolean,
    "double": pl.Float64,
    "float": pl.Float32,
    "bytes": pl.Binary,
}


class Shape:
    """The columns of one Avro record: dotted names with types, and map fields by name."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.columns: Columns = dict(ENVELOPE_COLUMNS)
        self.maps: dict[str, type[pl.DataType]] = {}
        self.required: set[str] = set()
        self._add(definition, "")

    def _add(self, record: Mapping[str, Any], prefix: str) -> None:
        for avro_field in record["fields"]:
            name = prefix + avro_field["name"]
            kind, nullable = _without_null(avro_field["type"])
            if not nullable and not prefix:
                self.required.add(name)
            if isinstance(kind, Mapping) and kind["type"] == "record":
                self._add(kind, name + ".")
            elif isinstance(kind, Mapping) and kind["type"] == "map":
                self.maps[name] = _PRIMITIVES[_name(_without_null(kind["values"])[0])]
            else:
                self.columns[name] = _column_type(kind)

    def column(self, name: str) -> pl.DataType | type[pl.DataType] | None:
        """The type of a column, or None where the schema has no such field."""
        if name in self.columns:
            return self.columns[name]
        head, _, key = name.partition(".")
        return self.maps.get(head) if key else None

    def frame(self, events: Sequence[Event], columns: Sequence[str]) -> pl.DataFrame:
        """One row per event, only the columns asked for; a field or map key that is absent is null."""
        series = {name: [self._value(event, name) for event in events] for name in columns}
        schema = {name: self.column(name) for name in columns}
        return pl.DataFrame(series, schema=schema, strict=True)

    def _value(self, event: Event, column: str) -> Any:
        if column in ENVELOPE_COLUMNS:
            return _envelope_value(event, column)
        head, _, key = column.partition(".")
        if head in self.maps:
            return (event.data.get(head) or {}).get(key)
        found: Any = event.data
        for part in column.split("."):
            if found is None:
                return None
            found = found.get(part)
        return found


def _envelope_value(event: Event, column: str) -> Any:
    attribute = getattr(event.envelope, column.removeprefix("ce."))
    return int(attribute.timestamp() * 1_000_000) if column == "ce.time" else attribute


def _without_null(kind: Any) -> tuple[Any, bool]:
    if isinstance(kind, list):
        branches = [branch for branch in kind if branch != "null"]
        if len(branches) != 1:
            raise ValueError("a union of several types has no column")
        return branches[0], len(branches) < len(kind)
    return kind, False


def _name(kind: Any) -> str:
    return str(kind["type"] if isinstance(kind, Mapping) else kind)


def _column_type(kind: Any) -> pl.DataType | type[pl.DataType]:
    name = _name(kind)
    if name == "array":
        return pl.List(_column_type(_without_null(kind["items"])[0]))
    if name == "enum":
        return pl.String
    return _PRIMITIVES[name]
