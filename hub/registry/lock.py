"""The lock file: which id stands for which schema, for ever and in every clone.

`schemas.lock` is JSON with sorted keys: id, event type, subject, version, SHA-256 of the canonical text, and
the schema itself, so that old ids stay readable after the contract has moved on. Ids are never used again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hub.events.problem import Misconfigured, Problem
from hub.registry import contract
from hub.registry.compatibility import against_all
from hub.registry.problems import problem
from hub.registry.schemas import (
    LOCK,
    REMEDY,
    Schema,
    canonical,
    contracts,
    event_type,
    fingerprint,
    read_lock,
)

_KEEP = "Give new fields a default, keep the types of old ones, or publish a new event type."


def check(folder: Path) -> list[Problem]:
    """All that is wrong with the contracts, and every contract that the lock file does not have yet."""
    try:
        locked = read_lock(folder)
    except Misconfigured as error:
        return list(error.problems)
    problems, changed = _compare(folder, locked)
    known = {schema.type for schema in locked}
    for type, _ in changed:
        what = "has changed since it was locked" if type in known else "is not locked"
        problems.append(problem(_name(folder, type), "", what, REMEDY))
    return problems


def update(folder: Path) -> list[Schema]:
    """Give ids to new and changed contracts and write the lock file; the new schemas are returned.

    Raises `Misconfigured`, and writes nothing, when any contract is wrong or breaks readers of older events.
    """
    locked = read_lock(folder)
    problems, changed = _compare(folder, locked)
    if problems:
        raise Misconfigured(problems)
    next_id = max((schema.id for schema in locked), default=0) + 1
    added = []
    for offset, (type, definition) in enumerate(changed):
        version = max((each.version for each in locked if each.type == type), default=0) + 1
        added.append(Schema.of(next_id + offset, type, version, json.loads(canonical(definition))))
    if added or not (folder / LOCK).exists():
        (folder / LOCK).write_text(_text([*locked, *added]), "utf-8")
    return added


def _compare(folder: Path, locked: list[Schema]) -> tuple[list[Problem], list[tuple[str, dict[str, Any]]]]:
    """What is wrong, and the contracts that are right but whose text is not the newest in the lock."""
    problems: list[Problem] = []
    changed: list[tuple[str, dict[str, Any]]] = []
    owners = {each.subject: each.type for each in locked}
    for file in contracts(folder):
        definition, found = contract.read(file, folder)
        type = event_type(file, folder)
        versions = sorted((each for each in locked if each.type == type), key=lambda each: each.version)
        if not found and (owner := owners.setdefault(".".join(contract.record_name(type)), type)) != type:
            what = f"gives its record the name that {owner} gives its own"
            found = [problem(_name(folder, type), "", what, "Call the entity or the verb by another word.")]
        if not found and not (versions and versions[-1].text == canonical(definition)):
            found = _refusals(file, folder, definition, versions)
            if not found:
                changed.append((type, definition))
        problems += found
    return problems, changed


def _refusals(file: Path, folder: Path, definition: dict[str, Any], versions: list[Schema]) -> list[Problem]:
    name, text = _name(folder, event_type(file, folder)), file.read_text("utf-8")
    problems = [
        problem(name, each.field, each.what, _KEEP, contract.line_of(text, each.field))
        for each in against_all(definition, (schema.definition for schema in versions))
    ]
    if same := [each.version for each in versions if each.text == canonical(definition)]:
        what = f"is version {same[0]} again, and versions only go forward"
        problems.append(problem(name, "", what, "Say in the record's doc why it came back."))
    return problems


def _name(folder: Path, type: str) -> str:
    domain, _, stem = type.partition(".")
    return f"{folder.name}/{domain}/{stem}.avsc"


def _text(schemas: list[Schema]) -> str:
    entries = [
        {
            "id": schema.id,
            "type": schema.type,
            "subject": schema.subject,
            "version": schema.version,
            "fingerprint": fingerprint(schema.text),
            "schema": schema.definition,
        }
        for schema in sorted(schemas, key=lambda each: each.id)
    ]
    return json.dumps({"schemas": entries}, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
