"""Between event data and columns: which columns a schema has, and a frame of the columns that a route reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from hub.events.envelope import parse_time
from hub.events.heads import Heads
from hub.events.model import to_micros
from hub.registry.columnar import has_column, without_null
from hub.routes.declaration import ENVELOPE_COLUMNS

Column = pl.DataType | type[pl.DataType]

_PRIMITIVES: Mapping[str, type[pl.DataType]] = {
    "string": pl.String,
    "long": pl.Int64,
    "int": pl.Int32,
    "boolean": pl.Boolean,
    "double": pl.Float64,
    "float": pl.Float32,
    "bytes": pl.Binary,
    "enum": pl.String,
    "null": pl.Null,
}


class Shape:
    """The columns of one Avro record: dotted names with types, and map fields by name."""

    def __init__(self, definition: Mapping[str, Any]) -> None:
        self.columns: dict[str, Column] = dict(ENVELOPE_COLUMNS)
        self.maps: dict[str, Column] = {}
        self._add(definition, "")

    def _add(self, record: Mapping[str, Any], prefix: str) -> None:
        for avro_field in record["fields"]:
            if not has_column(avro_field["type"]):
                continue
            name = prefix + avro_field["name"]
            kind, _ = without_null(avro_field["type"])
            if isinstance(kind, Mapping) and kind["type"] == "record":
                self._add(kind, name + ".")
            elif isinstance(kind, Mapping) and kind["type"] == "map":
                if (values := column_type(kind["values"])) is not None:
                    self.maps[name] = values
            elif (column := column_type(kind)) is not None:
                self.columns[name] = column

    def column(self, name: str) -> Column | None:
        """The type of a column, or None where the schema has no such field."""
        if name in self.columns:
            return self.columns[name]
        head, _, key = name.partition(".")
        return self.maps.get(head) if key else None

    def frame(self, data: pa.RecordBatch, heads: Heads, columns: Sequence[str]) -> pl.DataFrame:
        """One row per event, only the columns asked for; a field or map key that is absent is null."""
        series = [
            _envelope(heads, name) if name in ENVELOPE_COLUMNS else self._series(data, name)
            for name in columns
        ]
        return pl.DataFrame(series) if series else pl.DataFrame(height=data.num_rows)

    def _series(self, data: pa.RecordBatch, column: str) -> pl.Series:
        head, _, key = column.partition(".")
        found = data.column(head)
        if head in self.maps:
            found = pc.map_lookup(found, pa.scalar(key), "last")
        elif key:
            found = pc.struct_field(found, key.split("."))
        return pl.Series(column, found, dtype=self.column(column))


def _envelope(heads: Heads, column: str) -> pl.Series:
    name = column.replace("ce.", "ce_", 1)
    if column == "ce.time":
        times = [to_micros(parse_time(text)) for text in heads.texts(name)]
        return pl.Series(column, times, pl.Int64)
    return heads.series(name).alias(column)


def column_type(kind: Any) -> Column | None:
    """The type of the one column that holds an Avro type; None for records, maps, lists of such, and unions."""
    if not has_column(kind):
        return None
    bare, _ = without_null(kind)
    name = bare["type"] if isinstance(bare, Mapping) else bare
    if name == "array":
        items = column_type(bare["items"])
        return None if items is None else pl.List(items)
    return _PRIMITIVES.get(name)
