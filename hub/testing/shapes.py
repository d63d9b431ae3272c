"""Records bent in the ways in which outside systems bend them, by what they are: JSON or HL7 v2."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

Path = tuple[str, ...]

#: What is no record of any kind.
NOT_RECORDS = (b"", b"not json", b"\xff\xfe\x00", b"null", b"[]", b'"text"', b"{", b"{}", b"[" * 100_000)


def is_hl7(body: bytes) -> bool:
    """Whether a record is an HL7 v2 message."""
    return body.startswith(b"MSH")


def grown(body: bytes) -> bytes:
    """The record as a later version of the system might send it: with fields that nobody knows."""
    if is_hl7(body):
        separator = body[3:4]
        segments = [line for line in body.split(b"\r") if line]
        first, *others = segments
        others = [line + separator * 60 + b"later" for line in others]
        return b"\r".join([first, *others, b"ZZ1" + separator + b"of a later version", b""])
    record = json.loads(body)
    for path, node in list(_objects(record)):
        if "metadata" not in path:
            node["field_of_a_later_version"] = {"nested": [1, None]}
    return json.dumps(record).encode()


def blanked(body: bytes) -> Iterator[bytes]:
    """An HL7 message, each time with another of its fields left empty."""
    separator = body[3:4]
    segments = [line for line in body.split(b"\r") if line]
    for row, line in enumerate(segments):
        fields = line.split(separator)
        for place in range(2 if row == 0 else 1, len(fields)):
            emptied = separator.join([*fields[:place], b"", *fields[place + 1 :]])
            yield b"\r".join([*segments[:row], emptied, *segments[row + 1 :], b""])


def required(model: type[BaseModel], prefix: Path = ()) -> Iterator[Path]:
    """The dotted paths of a model's required fields, those of required inner models too."""
    for name, field in model.model_fields.items():
        if not field.is_required():
            continue
        path = (*prefix, str(field.validation_alias or field.alias or name))
        yield path
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from required(field.annotation, path)


def holder(record: Any, path: Path) -> dict[str, Any] | None:
    """The object in a JSON record that has the last name of `path`, or None where there is none."""
    node = record
    for name in path[:-1]:
        node = node.get(name) if isinstance(node, dict) else None
    return node if isinstance(node, dict) and path[-1] in node else None


def _objects(node: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    if isinstance(node, dict):
        yield path, node
        for name, value in list(node.items()):
            yield from _objects(value, (*path, name))
    elif isinstance(node, list):
        for item in node:
            yield from _objects(item, path)
