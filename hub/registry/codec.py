"""Events as bytes: Confluent wire format (a zero byte, the schema's id as big-endian int32, Avro binary).

fastavro does the work, strictly, and `hub.registry.values` stands before and behind it, since fastavro alone
writes 12.99 into a long as 12 and True as 1, and expands a few bytes into millions of items. Times pass
through as the whole microseconds that they are on the wire. No error holds a value, only where and why.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from hub.registry.problems import SchemaNotFoundError
from hub.registry.schemas import Registry, Schema
from hub.registry.values import CodecError, Plan, WrongValueError

__all__ = ["MAX_BYTES", "CodecError", "bare", "decode", "encode", "prefix", "schema_id"]

MAGIC = 0
MAX_BYTES = 1 << 20
"""Longest value that is written or read: as Kafka's own default, and what bounds a decoder's memory."""

_PREFIX = struct.Struct(">bI")


class _Codec:
    """What is worked out once per schema: the parsed form without logical types, the checks, the prefix."""

    __slots__ = ("parsed", "plan", "prefix")

    def __init__(self, schema: Schema) -> None:
        definition = bare(schema)
        self.plan = Plan(definition)
        self.parsed = parse_schema(definition)
        self.prefix = _PREFIX.pack(MAGIC, schema.id)


def encode(schema: Schema, data: dict[str, Any]) -> bytes:
    """The value of a Kafka record for `data`, which has every field of the schema and no other.

    Raises `CodecError`, naming the field that is missing, unknown, or of another type than the schema's.
    """
    codec = _codec(schema)
    out = BytesIO()
    out.write(codec.prefix)
    try:
        codec.plan.check(data)
        schemaless_writer(out, codec.parsed, data, strict=True)
    except WrongValueError as error:
        raise CodecError(error.reason, error.field) from None
    except UnicodeEncodeError:  # half of a surrogate pair; the error's own text would hold the value
        raise CodecError("text that is not valid Unicode", codec.plan.not_unicode(data)) from None
    except (ValueError, TypeError, OverflowError, struct.error) as error:
        raise CodecError(f"cannot be encoded ({type(error).__name__})") from None
    if out.tell() > MAX_BYTES:
        raise CodecError(f"longer than {MAX_BYTES} bytes")
    return out.getvalue()


def decode(value: bytes, registry: Registry, *, latest: bool = False) -> tuple[Schema, dict[str, Any]]:
    """The schema that wrote `value`, and the data; with `latest`, as the newest version of it reads them.

    Raises `CodecError` for anything that is not one whole value in the format with an id of the registry.
    """
    schema = _writer(value, registry)
    codec = _codec(schema)
    reader = registry.latest(schema) if latest else schema
    stream = BytesIO(value)
    stream.seek(_PREFIX.size)
    try:
        if reader is schema:
            data = schemaless_reader(stream, codec.parsed, None)
        else:
            codec = _codec(reader)
            data = schemaless_reader(stream, _codec(schema).parsed, codec.parsed)
        codec.plan.check(data)
    except WrongValueError as error:
        raise CodecError(error.reason, error.field) from None
    except (EOFError, IndexError):
        raise CodecError("truncated") from None
    except (ValueError, TypeError, OverflowError, KeyError, struct.error, MemoryError) as error:
        raise CodecError(f"not the Avro of schema {schema.id} ({type(error).__name__})") from None
    if stream.tell() != len(value):
        raise CodecError("more bytes than the schema takes")
    return reader, data


def schema_id(value: bytes) -> int:
    """The id in the prefix. Raises `CodecError` when there is no prefix."""
    if len(value) < _PREFIX.size:
        raise CodecError("shorter than the five bytes of the wire format's prefix")
    magic, id = _PREFIX.unpack_from(value)
    if magic != MAGIC:
        raise CodecError(f"unknown magic byte {magic & 0xFF}")
    return int(id)


def prefix(schema: Schema) -> bytes:
    """The five bytes before every value of `schema`."""
    return _codec(schema).prefix


def bare(schema: Schema) -> Any:
    """The definition as values are on the wire: without logical types and what is only to be read by people."""
    return _without_logical_types(schema.definition)


def _writer(value: bytes, registry: Registry) -> Schema:
    if len(value) > MAX_BYTES:
        raise CodecError(f"longer than {MAX_BYTES} bytes")
    id = schema_id(value)
    try:
        return registry.by_id(id)
    except SchemaNotFoundError:
        raise CodecError(f"unknown schema id {id}") from None


@lru_cache(maxsize=1024)
def _codec(schema: Schema) -> _Codec:
    return _Codec(schema)


def _without_logical_types(type: Any) -> Any:
    if isinstance(type, list):
        return [_without_logical_types(branch) for branch in type]
    if not isinstance(type, dict):
        return type
    kept = {key: value for key, value in type.items() if key in _SHAPE}
    for key in ("type", "items", "values"):
        if key in kept:
            kept[key] = _without_logical_types(kept[key])
    if "fields" in kept:
        kept["fields"] = [_without_logical_types(field) for field in kept["fields"]]
    return kept


_SHAPE = frozenset(
    {"type", "name", "namespace", "fields", "items", "values", "symbols", "size", "default", "aliases"}
)
