"""Can readers of a new schema read what was written with the old ones? The official `avro` package judges."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LEVEL = "BACKWARD_TRANSITIVE"
"""Of Confluent's levels: whoever has the newest contract reads every event ever written."""

_WORDS = {
    "reader_field_missing_default_value": "is new and has no default, so older events cannot be read",
    "missing_union_branch": "no longer takes a type that older events have",
    "missing_enum_symbols": "lost symbols that older events may have",
    "name_mismatch": "was renamed without an alias",
    "fixed_size_mismatch": "changed its size",
    "type_mismatch": "changed its type",
}


@dataclass(frozen=True, slots=True)
class Incompatibility:
    """`field` is the dotted name of the field of the new schema (empty for the record itself)."""

    field: str
    what: str


def incompatibilities(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[Incompatibility]:
    """Why a reader of `new` cannot read events written with `old`; empty when it can."""
    from avro.compatibility import (
        ReaderWriterCompatibilityChecker,
        SchemaCompatibilityType,
    )
    from avro.schema import make_avsc_object

    def differs(reader: Any, writer: Any) -> tuple[bool, list[str]]:
        result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
        kinds = list(dict.fromkeys(str(kind.value) for kind in result.incompatibilities))
        return result.compatibility is not SchemaCompatibilityType.compatible, kinds

    reader, writer = make_avsc_object(dict(new)), make_avsc_object(dict(old))
    before = dict(_logical_types(old))
    found = [
        Incompatibility(name, "changed its logical type")
        for name, logical in _logical_types(new)
        if before.get(name, logical) != logical
    ]
    bad, kinds = differs(reader, writer)
    if not bad:
        return found
    # The checker's own locations leave out fields inside unions, so each field is put to it alone.
    for field in new["fields"]:
        alone = make_avsc_object({**new, "fields": [field]})
        wrong, reasons = differs(alone, writer)
        own = [reason for reason in reasons if wrong and reason != "name_mismatch"]
        found += [Incompatibility(field["name"], _WORDS.get(reason, reason)) for reason in own]
    if not found:
        found = [Incompatibility("", _WORDS.get(kind, kind)) for kind in kinds]
    return found


def _logical_types(kind: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """The logical type, if any, of each field: to Avro's rules it is nothing, to subscribers number or text."""
    for branch in kind if isinstance(kind, list) else [kind]:
        if branch == "null":
            continue
        inner = branch if isinstance(branch, Mapping) else {"type": branch}
        match inner["type"]:
            case "record":
                for field in inner["fields"]:
                    yield from _logical_types(field["type"], f"{name}.{field['name']}".lstrip("."))
            case "array" | "map":
                yield from _logical_types(inner.get("items") or inner["values"], f"{name}[]")
            case _:
                yield name, inner.get("logicalType", "")


def against_all(new: Mapping[str, Any], older: Iterable[Mapping[str, Any]]) -> list[Incompatibility]:
    """The same against every older version, each finding once."""
    return list(dict.fromkeys(found for old in older for found in incompatibilities(new, old)))
