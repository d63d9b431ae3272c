"""Reading one contract file: is it Avro, and does it say what every contract of the hub must say?"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hub.events.model import Classification
from hub.events.problem import Problem
from hub.registry.problems import problem
from hub.registry.schemas import event_type
from hub.registry.values import CodecError, Plan, WrongValueError

TIME = {"type": "long", "logicalType": "timestamp-micros"}
_TYPE = re.compile(r"[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*){2}")
_PLAIN = frozenset({"string", "int", "long", "float", "double", "boolean", "bytes"})
_NESTED = frozenset({"record", "enum", "array", "map"})


def read(file: Path, folder: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The parsed JSON of a contract (empty when it cannot be read) and everything that is wrong with it."""
    name = f"{folder.name}/{file.relative_to(folder).as_posix()}"
    try:
        text = file.read_text("utf-8")
        definition = json.loads(text, object_pairs_hook=_no_repeats)
    except json.JSONDecodeError as error:
        return {}, [problem(name, "", f"not JSON: {error.msg}", "Mend the line.", error.lineno)]
    except ValueError as error:
        return {}, [problem(name, "", f"not usable JSON: {error}", "Keep one of them, in UTF-8.")]
    found = list(_judged(definition))
    if not found:
        found = [*_heading(definition, event_type(file, folder)), *_fields(definition, "")]
    problems = [problem(name, *each, line=line_of(text, each[0])) for each in found]
    return (definition if isinstance(definition, dict) else {}), problems


def line_of(text: str, field: str) -> int:
    """The line of a contract's text that names a field (dotted, if it is nested); 0 when there is none."""
    name = re.escape(field.replace("[]", "").rpartition(".")[2])
    found = re.search(rf'"name"\s*:\s*"{name}"', text) if name else None
    return text.count("\n", 0, found.start()) + 1 if found else 0


def record_name(type: str) -> tuple[str, str]:
    """Namespace and record name of an event type: `uk.hub.payments`, `PaymentCaptured`."""
    domain, entity, verb = type.split(".")
    words = re.split(r"[.-]", f"{entity}.{verb}")
    return f"uk.hub.{domain.replace('-', '_')}", "".join(word.capitalize() for word in words)


def _judged(definition: Any) -> Iterator[tuple[str, str, str]]:
    """The official parser decides what is Avro; it does not look at defaults of unions, so that follows."""
    from avro.errors import AvroException
    from avro.schema import make_avsc_object

    if not isinstance(definition, dict) or definition.get("type") != "record":
        yield "", "a contract is one Avro record", 'Start it with "type": "record".'
        return
    try:
        make_avsc_object(definition)
    except AvroException as error:
        yield "", f"not an Avro schema: {error}", "See the Avro specification, Schema Declaration."


def _heading(definition: dict[str, Any], type: str) -> Iterator[tuple[str, str, str]]:
    if not _TYPE.fullmatch(type):
        yield "", f"{type!r} is no event type", "Name the file <domain>/<entity>.<verb>.avsc in kebab case."
        return
    namespace, name = record_name(type)
    if (definition.get("namespace"), definition["name"]) != (namespace, name):
        yield "", "the record's name does not follow the file's", f"Call it {name} in namespace {namespace}."
    if not definition.get("doc"):
        yield "", "the record has no doc", "Say in one sentence what has happened."


def _fields(record: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    found = [each for field in record["fields"] for each in _field(field, f"{path}{field['name']}")]
    yield from found or _unusable(record, path)


def _field(field: dict[str, Any], where: str) -> Iterator[tuple[str, str, str]]:
    if not field.get("doc"):
        yield where, "has no doc", "Say what it holds, in which unit, and when it is null."
    if field.get("classification") not in {each.value for each in Classification}:
        yield where, "has no classification", "Give one of public, internal, personal, special."
    yield from _conventions(field, where)
    yield from _types(field["type"], where)


def _unusable(record: dict[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    """What no parser looks at, and every event would meet: types that cannot be encoded, defaults of another type."""
    try:
        Plan(record)
    except CodecError as error:
        yield path.rstrip("."), f"cannot be encoded: {error.reason}", "Use another type."
        return
    for field in record["fields"]:
        name = field["name"]
        try:
            if "default" in field:
                Plan({**record, "fields": [field]}).check({name: field["default"]})
        except WrongValueError as error:
            yield (
                f"{path}{name}",
                f"has a default that does not fit: {error.reason}",
                "Give another, or none.",
            )


def _conventions(field: dict[str, Any], where: str) -> Iterator[tuple[str, str, str]]:
    name, type = field["name"], field["type"]
    nullable = isinstance(type, list)
    bare = next((branch for branch in type if branch != "null"), None) if nullable else type
    if nullable and (len(type) != 2 or type[0] != "null" or field.get("default", "") is not None):
        yield where, "is a union that is not simply nullable", 'Write ["null", T] with "default": null.'
    if name.endswith("_at") and bare != TIME:
        yield where, "is a time of another type", f"Use {json.dumps(TIME)}."
    if name.endswith("_id") and bare != "string":
        yield where, "is an id of another type", 'Use "string".'
    if name in {"amount", "fee"} and bare != "long":
        yield where, "is money of another type", 'Use "long", in minor units, with a field for the currency.'


def _types(type: Any, where: str) -> Iterator[tuple[str, str, str]]:
    """Every type must be one that all our codecs, the models and Arrow carry without loss."""
    for branch in type if isinstance(type, list) else [type]:
        if isinstance(branch, str):
            if branch not in _PLAIN | {"null"}:
                yield where, f"refers to the named type {branch!r}", "Write the type out where it is used."
            continue
        kind = branch["type"]
        if branch.get("logicalType") and branch != TIME:
            yield (
                where,
                f"has the logical type {branch['logicalType']!r}",
                "Use timestamp-micros, or a string.",
            )
        elif kind == "record":
            yield from _fields(branch, f"{where}.")
        elif kind in {"array", "map"}:
            inner = branch["items" if kind == "array" else "values"]
            if inner == "null" or isinstance(inner, list):
                yield (
                    where,
                    "holds items that may be null",
                    "Leave out what is absent.",
                )  # and see codec: bombs
            yield from _types(inner, f"{where}[]")
        elif kind not in _PLAIN | _NESTED:
            yield where, f"has the type {kind!r}", "Use " + ", ".join(sorted(_PLAIN | _NESTED)) + "."


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
