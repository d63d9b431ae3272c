"""A field of a contract, or an attribute of the envelope, by its dotted name: type in words, and classification."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub.events.model import Classification
from hub.registry.schemas import Schema
from hub.routes.columns import Shape
from hub.routes.declaration import ENVELOPE_COLUMNS

#: The journal keeps and shows the envelope to whoever may search it, so it is never more than internal.
_ENVELOPE = dict.fromkeys(ENVELOPE_COLUMNS, Classification.INTERNAL) | {
    "ce.type": Classification.PUBLIC,
    "ce.party": Classification.PUBLIC,
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a contract or an attribute of the envelope: Avro type in words, Polars type, classification.

    `column` is empty for what has no column of its own, such as a whole map.
    """

    name: str
    type: str
    column: str
    classification: Classification


def describe(schema: Schema, name: str) -> Field:
    """A field by its dotted name, or an attribute of the envelope. One that nothing is known of is special."""
    if name in ENVELOPE_COLUMNS:
        kind = "timestamp-micros" if name == "ce.time" else "string"
        return Field(name, kind, str(ENVELOPE_COLUMNS[name]()), _ENVELOPE[name])
    kind, classification = _found(schema.definition, name.split("."))
    column = Shape(schema.definition).column(name)
    return Field(name, _words(kind), "" if column is None else str(column), classification)


def _found(record: Mapping[str, Any], parts: Sequence[str]) -> tuple[Any, Classification]:
    field = next((one for one in record["fields"] if one["name"] == parts[0]), None)
    if field is None:
        return "unknown", Classification.SPECIAL
    kind, classification = field["type"], Classification(field.get("classification", "special"))
    if len(parts) == 1:
        return kind, classification
    bare = next((b for b in kind if b != "null"), kind) if isinstance(kind, list) else kind
    if isinstance(bare, Mapping) and bare["type"] == "record":
        return _found(bare, parts[1:])
    if isinstance(bare, Mapping) and bare["type"] == "map":
        return ["null", bare["values"]], classification  # a key may be absent
    return "unknown", Classification.SPECIAL


def _words(kind: Any) -> str:
    """An Avro type in words: `string or null`, `map of string`."""
    if isinstance(kind, list):
        return " or ".join([*(_words(one) for one in kind if one != "null"), *(["null"] * ("null" in kind))])
    if not isinstance(kind, Mapping):
        return str(kind)
    match kind["type"]:
        case "map":
            return f"map of {_words(kind['values'])}"
        case "array":
            return f"list of {_words(kind['items'])}"
        case "enum":
            return f"one of {', '.join(kind['symbols'])}"
        case name:
            return str(kind.get("logicalType", name))
