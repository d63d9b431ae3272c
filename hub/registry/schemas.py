"""The schemas of the hub by event type and by id, as the lock file has them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hub.events.model import Classification
from hub.events.problem import Misconfigured
from hub.registry.problems import SchemaNotFoundError, problem

LOCK = "schemas.lock"
REMEDY = "Run `python -m hub.registry --write` and commit what it changes."


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a contract: `type` is its Avro type as written."""

    name: str
    type: Any
    doc: str
    classification: Classification


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Schema:
    """One version of one contract.

    `id` is what the wire carries; `type` the event type; `subject` the record's full name, after Confluent's
    RecordNameStrategy; `text` the canonical JSON (keys sorted, no white space), which never changes for an
    id. Two schemas are the same only when they are the same object: a registry makes each once.
    """

    id: int
    type: str
    subject: str
    version: int
    definition: dict[str, Any]
    text: str
    fields: tuple[Field, ...]

    @classmethod
    def of(cls, id: int, type: str, version: int, definition: dict[str, Any]) -> Self:
        """A schema from the parsed JSON of a contract that was checked when it was locked."""
        subject = f"{definition['namespace']}.{definition['name']}"
        fields = tuple(
            Field(f["name"], f["type"], f.get("doc", ""), Classification(f.get("classification", "special")))
            for f in definition["fields"]
        )
        return cls(id, type, subject, version, definition, canonical(definition), fields)

    @property
    def path(self) -> str:
        """Where the registry's API has it: an envelope's `dataschema`."""
        return f"/schemas/ids/{self.id}"

    def __repr__(self) -> str:
        return f"<Schema {self.id}: {self.type} version {self.version}>"


class Registry:
    """All schemas, the old versions included, so that whatever was written once can be read."""

    def __init__(self, schemas: Iterable[Schema], current: Iterable[str] | None = None) -> None:
        """`current` are the event types that are still published; all, when it is not given."""
        self._by_id = {schema.id: schema for schema in schemas}
        self._by_subject: dict[str, list[Schema]] = {}
        latest: dict[str, Schema] = {}
        for schema in sorted(self._by_id.values(), key=lambda each: (each.subject, each.version)):
            self._by_subject.setdefault(schema.subject, []).append(schema)
            latest[schema.type] = schema
        published = latest if current is None else set(current)
        self._by_type = {type: latest[type] for type in sorted(latest) if type in published}

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read the contracts under `path` and their lock file. Raises `Misconfigured` unless they agree."""
        folder = Path(path)
        versions = read_lock(folder)
        registry = cls(versions, files := {event_type(file, folder) for file in contracts(folder)})
        for file in contracts(folder):
            locked = registry._by_type.get(event_type(file, folder))
            if locked is None or not _same(file, locked.text):
                from hub.registry.lock import check

                raise Misconfigured(check(folder) or [problem(file.name, "", "is not in the lock", REMEDY)])
        if not files:
            raise Misconfigured([problem(str(folder), "", "holds no contract", "Name the schemas folder.")])
        return registry

    def by_type(self, type: str) -> Schema:
        """The newest version of a published event type. Raises `SchemaNotFoundError`."""
        try:
            return self._by_type[type]
        except KeyError:
            raise SchemaNotFoundError(f"no contract for event type {type!r}") from None

    def by_id(self, id: int) -> Schema:
        """Any version that was ever locked. Raises `SchemaNotFoundError`."""
        try:
            return self._by_id[id]
        except KeyError:
            raise SchemaNotFoundError(f"no schema with id {id}") from None

    def types(self) -> list[str]:
        """The published event types, sorted."""
        return list(self._by_type)

    def subjects(self) -> list[str]:
        """The full names of all records ever locked, sorted."""
        return sorted(self._by_subject)

    def versions(self, subject: str) -> list[Schema]:
        """All versions of a subject, oldest first; empty when there is none."""
        return list(self._by_subject.get(subject, ()))

    def latest(self, schema: Schema) -> Schema:
        """The newest version of the same subject."""
        return self._by_subject[schema.subject][-1]


def canonical(definition: Mapping[str, Any]) -> str:
    """The JSON text under which a schema is registered: keys sorted, so that layout is not a new version."""
    return json.dumps(definition, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def fingerprint(text: str) -> str:
    """SHA-256 of a canonical text: an edited lock file does not go unseen."""
    return hashlib.sha256(text.encode()).hexdigest()


def contracts(folder: Path) -> list[Path]:
    """The contract files, `<domain>/<entity>.<verb>.avsc`, in the order of their event types."""
    return sorted(folder.glob("*/*.avsc"), key=lambda file: event_type(file, folder))


def event_type(file: Path, folder: Path) -> str:
    """`payments/payment.captured.avsc` is `payments.payment.captured`."""
    return ".".join((*file.relative_to(folder).parts[:-1], file.stem))


def read_lock(folder: Path) -> list[Schema]:
    """Every schema in the lock file; none, when there is no file yet. Raises `Misconfigured`."""
    file, name = folder / LOCK, f"{folder.name}/{LOCK}"
    restore = "Restore it from version control."
    if not file.exists():
        return []
    try:
        entries = json.loads(file.read_text("utf-8"))["schemas"]
        schemas = [Schema.of(e["id"], e["type"], e["version"], e["schema"]) for e in entries]
        marks = [(e["fingerprint"], e["subject"]) for e in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured(
            [problem(name, "", f"cannot be read ({type(error).__name__})", restore)]
        ) from None
    if len({schema.id for schema in schemas}) < len(schemas):
        remedy = f"Take the lock file of the branch that was merged first, then: {REMEDY}"
        raise Misconfigured([problem(name, "", "one id stands for two schemas", remedy)])
    pairs = zip(schemas, marks, strict=True)
    if edited := [each.id for each, mark in pairs if (fingerprint(each.text), each.subject) != mark]:
        raise Misconfigured([problem(name, "", f"id {id} was edited by hand", restore) for id in edited])
    return schemas


def _same(file: Path, text: str) -> bool:
    try:
        return canonical(json.loads(file.read_text("utf-8"))) == text
    except ValueError:
        return False
