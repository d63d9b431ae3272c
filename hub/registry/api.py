"""The read half of the Confluent Schema Registry's REST API, as functions of a registry.

Each answers `(HTTP status, JSON value)`. Paths, replies and error codes are Confluent's, so that a council's
own deserialiser works against the gateway; whatever would write is refused as by a registry in READONLY mode,
since contracts change by review and not by request.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from hub.registry.compatibility import LEVEL, Incompatibility, against_all
from hub.registry.problems import SchemaNotFoundError
from hub.registry.schemas import Registry, Schema, canonical

Answer = tuple[int, Any]
MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
MAX_BODY = 256 * 1024
"""Longest request body, in bytes, that is looked at."""

_P = ParamSpec("_P")
_MAX_VERSION = 2**31 - 1


class _RefusedError(Exception):
    """Confluent's error body, on its way out; the first three digits of the code are the status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.answer: Answer = (code // 100, {"error_code": code, "message": message})


def _endpoint(
    function: Callable[Concatenate[Registry, _P], Any],
) -> Callable[Concatenate[Registry, _P], Answer]:
    @functools.wraps(function)
    def answered(registry: Registry, /, *args: _P.args, **kwargs: _P.kwargs) -> Answer:
        try:
            return 200, function(registry, *args, **kwargs)
        except _RefusedError as error:
            return error.answer

    return answered


def types() -> Answer:
    """GET /schemas/types"""
    return 200, ["AVRO"]


@_endpoint
def schema_by_id(registry: Registry, id: str) -> Any:
    """GET /schemas/ids/{id}"""
    return {"schema": _by_id(registry, id).text}


@_endpoint
def schema_text_by_id(registry: Registry, id: str) -> Any:
    """GET /schemas/ids/{id}/schema: the schema itself, not as a string within JSON"""
    return _by_id(registry, id).definition


@_endpoint
def subjects_by_id(registry: Registry, id: str) -> Any:
    """GET /schemas/ids/{id}/subjects"""
    return [_by_id(registry, id).subject]


@_endpoint
def versions_by_id(registry: Registry, id: str) -> Any:
    """GET /schemas/ids/{id}/versions"""
    schema = _by_id(registry, id)
    return [{"subject": schema.subject, "version": schema.version}]


def subjects(registry: Registry, prefix: str = "") -> Answer:
    """GET /subjects, with `subjectPrefix`"""
    return 200, [subject for subject in registry.subjects() if subject.startswith(prefix)]


@_endpoint
def versions(registry: Registry, subject: str) -> Any:
    """GET /subjects/{subject}/versions"""
    return [schema.version for schema in _of_subject(registry, subject)]


@_endpoint
def version(registry: Registry, subject: str, number: str) -> Any:
    """GET /subjects/{subject}/versions/{number or "latest"}"""
    return _described(_version(registry, subject, number))


@_endpoint
def version_text(registry: Registry, subject: str, number: str) -> Any:
    """GET /subjects/{subject}/versions/{number or "latest"}/schema"""
    return _version(registry, subject, number).definition


@_endpoint
def referenced_by(registry: Registry, subject: str, number: str) -> Any:
    """GET /subjects/{subject}/versions/{number}/referencedby: never any, contracts stand alone"""
    _version(registry, subject, number)
    return []


@_endpoint
def look_up(registry: Registry, subject: str, body: bytes) -> Any:
    """POST /subjects/{subject}: under which id and version is this schema known?"""
    known = _of_subject(registry, subject)
    text = canonical(_posted(body))
    for schema in known:
        if schema.text == text:
            return _described(schema)
    raise _RefusedError(40403, "Schema not found")


@_endpoint
def compatible(registry: Registry, subject: str, number: str, body: bytes, verbose: bool = False) -> Any:
    """POST /compatibility/subjects/{subject}/versions[/{number}]: can a reader of this schema read what that
    version (every version, when `number` is empty) has written?"""
    older = [_version(registry, subject, number)] if number else _of_subject(registry, subject)
    found = _judged(_posted(body), older)
    verdict = {"is_compatible": not found}
    messages = [f"field {each.field}: {each.what}" if each.field else each.what for each in found]
    return {**verdict, "messages": messages} if verbose else verdict


def config() -> Answer:
    """GET /config"""
    return 200, {"compatibilityLevel": LEVEL}


@_endpoint
def subject_config(registry: Registry, subject: str, default: bool = False) -> Any:
    """GET /config/{subject}, with `defaultToGlobal`; no subject has a level of its own"""
    if default:
        return config()[1]
    _of_subject(registry, subject)
    raise _RefusedError(40408, f"Subject '{subject}' does not have subject-level compatibility configured")


def mode() -> Answer:
    """GET /mode"""
    return 200, {"mode": "READONLY"}


@_endpoint
def subject_mode(registry: Registry, subject: str, default: bool = False) -> Any:
    """GET /mode/{subject}, with `defaultToGlobal`; no subject has a mode of its own"""
    if default:
        return mode()[1]
    _of_subject(registry, subject)
    raise _RefusedError(40409, f"Subject '{subject}' does not have subject-level mode configured")


def read_only() -> Answer:
    """Every request that would change something."""
    message = "The hub's registry is read-only: contracts change through schemas/ and its lock file"
    return _RefusedError(42205, message).answer


def too_large() -> Answer:
    """A request body over `MAX_BODY`."""
    return _RefusedError(42209, f"The schema is longer than {MAX_BODY} bytes").answer


def _by_id(registry: Registry, id: str) -> Schema:
    try:
        return registry.by_id(_number(id))
    except (ValueError, SchemaNotFoundError):
        raise _RefusedError(40403, "Schema not found") from None


def _of_subject(registry: Registry, subject: str) -> list[Schema]:
    if found := registry.versions(subject):
        return found
    raise _RefusedError(40401, f"Subject '{subject}' not found.")


def _version(registry: Registry, subject: str, number: str) -> Schema:
    known = _of_subject(registry, subject)
    if number in {"latest", "-1"}:
        return known[-1]
    try:
        wanted = _number(number)
    except ValueError:
        allowed = 'Allowed values are between [1, 2^31-1] and the string "latest"'
        what = f"The specified version '{number}' is not a valid version id. {allowed}"
        raise _RefusedError(42202, what) from None
    for schema in known:
        if schema.version == wanted:
            return schema
    raise _RefusedError(40402, f"Version {wanted} not found.")


def _number(text: str) -> int:
    """Raises `ValueError` unless it is plain digits from 1 to 2^31-1."""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and 1 <= int(text) <= _MAX_VERSION):
        raise ValueError("not a version or id")
    return int(text)


def _posted(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
        definition = json.loads(request["schema"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _RefusedError(42201, "Invalid schema: the body or its member `schema` is not JSON") from None
    if request.get("schemaType", "AVRO") != "AVRO" or request.get("references"):
        raise _RefusedError(42201, "Invalid schema: only AVRO without references is known here")
    if not isinstance(definition, dict) or definition.get("type") != "record":
        raise _RefusedError(42201, "Invalid schema: not a record")
    return definition


def _judged(definition: dict[str, Any], older: list[Schema]) -> list[Incompatibility]:
    from avro.errors import AvroException

    try:
        return against_all(definition, (schema.definition for schema in older))
    except (AvroException, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _RefusedError(42201, "Invalid schema: the official parser does not take it") from None


def _described(schema: Schema) -> dict[str, Any]:
    return {"subject": schema.subject, "version": schema.version, "id": schema.id, "schema": schema.text}
