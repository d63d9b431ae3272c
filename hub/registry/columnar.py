"""Events as columns: a batch of values of one schema at once, in the wire format of `codec` and as strict.

Avro to Arrow and back is pyruhvro's work, some thirty times as fast as a value at a time. It is laxer than
`codec`, so nothing it says is taken on trust: what it read must encode to the very bytes that came. Where it
cannot or may not be used, `codec` does the work row by row, and gives the reasons.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyruhvro

from hub.registry import codec
from hub.registry.codec import CodecError
from hub.registry.schemas import Registry, Schema
from hub.registry.values import MAX_ITEMS

_FEW = 32  # rows; so many are cheaper to read one by one than to halve again

_PRIMITIVES: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "long": pa.int64(),
    "int": pa.int32(),
    "boolean": pa.bool_(),
    "double": pa.float64(),
    "float": pa.float32(),
    "bytes": pa.binary(),
    "enum": pa.string(),
    "null": pa.null(),
}

Faults = list[tuple[int, CodecError]]
Fault = TypeVar("Fault", bound=Exception)


def decode_batch(
    schema: Schema, values: Sequence[bytes], registry: Registry
) -> tuple[pa.RecordBatch, list[int], Faults]:
    """The data of `values` as `schema`, the newest of its type, reads them.

    Gives the columns, the index in `values` of each row, and per value that cannot be read its index and why.
    """
    batch = _form(schema).decode(values)
    if batch is not None:
        return batch, list(range(len(values))), []
    if len(values) > _FEW:  # one bad value costs its neighbours little
        half = len(values) // 2
        first, rows, faults = decode_batch(schema, values[:half], registry)
        second, more_rows, more_faults = decode_batch(schema, values[half:], registry)
        rows += [half + row for row in more_rows]
        faults += [(half + row, error) for row, error in more_faults]
        return pa.concat_batches([first, second]), rows, faults
    rows, data, faults = [], [], []
    for row, value in enumerate(values):
        try:
            found, read = codec.decode(value, registry, latest=True)
            if found.type != schema.type:
                raise CodecError(
                    f"schema id {codec.schema_id(value)} is of {found.type}, not of {schema.type}"
                )
        except CodecError as error:
            faults.append((row, error))
        else:
            rows.append(row)
            data.append(read)
    return pa.RecordBatch.from_pylist(data, schema=_form(schema).read), rows, faults


def encode_batch(schema: Schema, table: pa.Table) -> tuple[pl.Series, Faults]:
    """Per row of `table` the value of a Kafka record, null where there is none; and which rows those are, and why.

    A field that `table` lacks is at its default, if it has one.
    """
    table = _form(schema).whole(table)
    values = _form(schema).encode(table)
    if values is not None:
        return pl.Series(values=values), []
    return apart([encoded(schema, row) for row in plain_rows(table)])


def apart(each: Sequence[bytes | Fault | None]) -> tuple[pl.Series, list[tuple[int, Fault]]]:
    """The values as a column, null where there is none, and by row the errors that stand in place of others."""
    faults = [(row, value) for row, value in enumerate(each) if isinstance(value, Exception)]
    return pl.Series([value if isinstance(value, bytes) else None for value in each], dtype=pl.Binary), faults


def encoded(schema: Schema, data: dict[str, Any]) -> bytes | CodecError:
    """As `codec.encode`, the error returned."""
    try:
        return codec.encode(schema, data)
    except CodecError as error:
        return error


def plain_rows(table: pa.Table | pa.RecordBatch) -> list[dict[str, Any]]:
    """The rows of `table` as `codec.encode` takes them; of a map's key that comes twice the last."""
    rows: list[dict[str, Any]] = table.to_pylist(maps_as_pydicts="lossy")
    return rows


class _Form:
    """What is worked out once per schema."""

    def __init__(self, schema: Schema) -> None:
        bare = codec.bare(schema)
        self.prefix = codec.prefix(schema)
        self.arrow = pa.schema([_field(one) for one in bare["fields"] if has_column(one["type"])])
        #: As which it is read: of a record that is null so are the fields, and no cast takes null for what is never so.
        self.read = pa.schema(map(_lax, self.arrow))
        self._defaults = {
            one["name"]: one["default"]
            for one in bare["fields"]
            if "default" in one and one["name"] in self.arrow.names
        }
        self._avro = json.dumps(bare) if all(_plain(one["type"]) for one in bare["fields"]) else None

    def decode(self, values: Sequence[bytes]) -> pa.RecordBatch | None:
        """None when any of `values` needs the other codec's judgement."""
        if self._avro is None or {value[:5] for value in values} != {self.prefix} or _long(values):
            return None
        bodies = [value[5:] for value in values]
        try:
            batch = pyruhvro.deserialize_array(bodies, self._avro)
            batch.validate(full=True)  # pyruhvro takes any bytes for text
            again = pyruhvro.serialize_record_batch(batch, self._avro, 1)[0]
            batch = batch.cast(self.read)  # pyruhvro lets any item be null, so its types join no others
        except ValueError:
            return None
        return batch if again.equals(pa.array(bodies, pa.binary())) else None

    def whole(self, table: pa.Table) -> pa.Table:
        """With the defaults of the fields that `table` lacks."""
        for name, default in self._defaults.items():
            if name not in table.column_names:
                field = self.arrow.field(name)
                value = (
                    list(default.items()) if pa.types.is_map(field.type) and default is not None else default
                )
                table = table.append_column(field, pa.array([value] * table.num_rows, field.type))
        return table

    def encode(self, table: pa.Table) -> pa.Array | None:
        """None when any row of `table` needs the other codec's judgement."""
        if self._avro is None or set(table.column_names) != set(self.arrow.names):
            return None
        wanted = pa.schema(self.arrow)
        try:
            batch = table.select(wanted.names).cast(wanted).combine_chunks().to_batches()
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
            return None
        if not batch:
            return pa.array([], pa.binary())
        if not all(_filled(field, column) for field, column in zip(wanted, batch[0].columns, strict=True)):
            return None  # pyruhvro would write an empty text for a null
        bodies = pyruhvro.serialize_record_batch(batch[0], self._avro, 1)[0]
        if pc.max(pc.binary_length(bodies)).as_py() > MAX_ITEMS:
            return None
        return pc.binary_join_element_wise(
            pa.scalar(self.prefix, bodies.type), bodies, pa.scalar(b"", bodies.type)
        )


@lru_cache(maxsize=1024)
def _form(schema: Schema) -> _Form:
    return _Form(schema)


def _long(values: Sequence[bytes]) -> bool:
    """Whether a list or map of more items than are allowed might be in one of `values`: an item takes a byte."""
    return max(map(len, values), default=0) > MAX_ITEMS


def _filled(field: pa.Field, column: pa.Array) -> bool:
    """Whether nothing is null that must not be, as far down as `column` goes."""
    if not field.nullable and column.null_count:
        return False
    if pa.types.is_struct(field.type):
        return all(_filled(child, part) for child, part in zip(field.type, column.flatten(), strict=True))
    if pa.types.is_list(field.type):
        return _filled(field.type.value_field, column.flatten())
    if pa.types.is_map(field.type):
        return bool(column.items.null_count == 0 or field.type.item_field.nullable)
    return True


def _plain(kind: Any) -> bool:
    """Whether pyruhvro reads and writes this type exactly (a property test holds it to that)."""
    if isinstance(kind, list):
        return len(kind) == 2 and kind[0] == "null" and _plain(kind[1])
    if isinstance(kind, Mapping):
        if kind["type"] == "record":
            return bool(kind["fields"]) and all(_plain(one["type"]) for one in kind["fields"])
        if kind["type"] in ("array", "map"):
            return _plain(kind.get("items") or kind["values"])
        return _plain(kind["type"])
    return kind in ("string", "long", "int", "boolean", "double", "float")


def has_column(kind: Any) -> bool:
    """Whether an Avro type can be a column: no choice of several types, no type by the name of one before it."""
    if isinstance(kind, list):
        return sum(branch != "null" for branch in kind) == 1 and all(map(has_column, kind))
    if isinstance(kind, Mapping):
        inner = [one["type"] for one in kind.get("fields", ())] + [
            kind[part] for part in ("items", "values") if part in kind
        ]
        return all(map(has_column, inner))
    return kind in _PRIMITIVES


def _field(avro_field: Mapping[str, Any]) -> pa.Field:
    kind, nullable = without_null(avro_field["type"])
    return pa.field(avro_field["name"], _arrow(kind), nullable=nullable)


def _lax(field: pa.Field) -> pa.Field:
    """The same, where anything may be null as far down as it goes."""
    kind = field.type
    if pa.types.is_struct(kind):
        kind = pa.struct(map(_lax, kind))
    elif pa.types.is_list(kind):
        kind = pa.list_(_lax(kind.value_field))
    elif pa.types.is_map(kind):
        kind = pa.map_(kind.key_field, _lax(kind.item_field))
    return pa.field(field.name, kind)


def without_null(kind: Any) -> tuple[Any, bool]:
    """The Avro type of a column without its null branch, and whether it may be null."""
    if not isinstance(kind, list):
        return kind, kind == "null"
    (branch,) = (branch for branch in kind if branch != "null")
    return branch, len(kind) > 1


def _arrow(kind: Any) -> pa.DataType:
    if not isinstance(kind, Mapping):
        return _PRIMITIVES[kind]
    match kind["type"]:
        case "record":
            return pa.struct([_field(one) for one in kind["fields"]])
        case "array":
            inner, nullable = without_null(kind["items"])
            return pa.list_(pa.field("item", _arrow(inner), nullable=nullable))
        case "map":
            inner, nullable = without_null(kind["values"])
            return pa.map_(pa.string(), pa.field("value", _arrow(inner), nullable=nullable))
        case "fixed":
            return pa.binary(kind["size"])
        case name:
            return _arrow(name)
