"""Writes what came into the cases that nobody has said anything of yet, for a person to read and approve."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from hub.events.problem import Misconfigured, Problem
from hub.registry.readable import readable
from hub.registry.schemas import Registry
from hub.routes.case_files import RESOLVERS, Case, CaseFile
from hub.routes.cases import AS_GIVEN, NOTHING
from hub.routes.golden import Result
from hub.routes.judging import Came
from hub.routes.values import shortened


def approve(results: Sequence[Result], registry: Registry) -> tuple[dict[Path, int], list[Problem]]:
    """Fill in `expect` where a case has none. How many per file, and what could not be written.

    Everything else in the file stays as it is, comments included.
    """
    by_file: dict[CaseFile, list[tuple[Case, Came]]] = {}
    for result in results:
        if result.came and result.case.expect is None:
            by_file.setdefault(result.case.file, []).append((result.case, result.came))
    counts: dict[Path, int] = {}
    problems: list[Problem] = []
    for file, cases in by_file.items():
        text, filled = _filled(file, cases, registry)
        if filled:
            file.path.write_text(text, "utf-8")
            counts[file.path] = len(filled)
        remedy = "Write it as a block, one key a line, and without `expect`"
        problems.extend(
            case.problem("there is no place to write `expect` in", remedy)
            for case, _ in cases
            if case not in filled
        )
    return counts, problems


def _filled(file: CaseFile, cases: Sequence[tuple[Case, Came]], registry: Registry) -> tuple[str, list[Case]]:
    """The file's text with what came, and the cases that it was written into."""
    lines = file.text.splitlines()
    filled = []
    for case, came in reversed(cases):  # from the end, so that the lines before keep their numbers
        if (place := file.open_end(case)) is None:
            continue
        indent, end = place
        while not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#"):
            end -= 1
        expect = {"expect": expectation(came, registry)}
        told = yaml.dump(expect, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100).splitlines()
        lines[end:end] = [" " * indent + line for line in told]
        filled.append(case)
    text = "\n".join(lines) + "\n"
    return (text, filled) if _is_faithful(file, text, filled) else (file.text, [])


def _is_faithful(file: CaseFile, text: str, filled: Sequence[Case]) -> bool:
    """Whether a text says what the file said, and something about the filled cases."""
    try:
        after = CaseFile(file.path, text).cases
    except Misconfigured:
        return False
    places = {case.place for case in filled}
    return len(after) == len(file.cases) and all(
        (old.name, old.given) == (new.name, new.given)
        and (new.expect is not None if old.place in places else new.expect == old.expect)
        for old, new in zip(file.cases, after, strict=True)
    )


def expectation(came: Came, registry: Registry) -> Any:
    """What came, as a case has it under `expect`."""
    if came.refused:
        return {"refused": came.refused}
    if not came.outputs:
        return NOTHING
    outputs: list[dict[str, Any]] = []
    for event in came.outputs:
        envelope = event.envelope
        schema = registry.by_type(envelope.type)
        same = (envelope.type, event.data) == (came.given.envelope.type, came.given.data)
        data = AS_GIVEN if same else readable(schema, shortened(schema.definition, event.data))
        outputs.append(
            {"to": envelope.party, "subject": envelope.subject, "type": envelope.type, "data": data}
        )
    return outputs


class _Dumper(yaml.SafeDumper):
    """Times without quotes, as cases are read, and lists set in."""

    yaml_implicit_resolvers = RESOLVERS

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)
