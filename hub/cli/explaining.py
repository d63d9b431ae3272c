"""Explanations of routes and findings about cases, as lines for the terminal and as values for JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from hub.events.model import Classification
from hub.events.problem import Problem
from hub.routes.describe import Field
from hub.routes.explain import Explanation, Made, Mapped
from hub.routes.golden import Report
from hub.routes.judging import Finding
from hub.routes.values import ABSENT


def lines(told: Explanation, file: str) -> Iterator[str]:
    """A route for people; what begins with `!` is a warning."""
    yield f"{told.name}  ({file})"
    yield f"  on       {', '.join(told.on)}"
    for name in ("when", "to", "subject"):
        found = [one for mapped in told.mapped for one in mapped.steering if one.name == name]
        if not found:
            continue
        yield f"  {name:8} {found[0].expression}"
        for origin in dict.fromkeys(origin for one in found for origin in one.origins):
            yield f"           ← {_field(origin)}"
        for lowered in dict.fromkeys(lowered for one in found for lowered in one.lowered):
            yield f"           ! {_warning(lowered, 'everyone who may search the journal sees a subject')}"
    if told.ordered:
        yield "  ordered  an event that is set aside holds up the later ones of its subject"
    for name, text in told.names.items():
        yield f"  {name} = {text}"
    for inputs, mapped in _alike(told.mapped):
        yield ""
        yield from _mapping(inputs, mapped)


def _alike(mapped: Iterable[Mapped]) -> Iterator[tuple[list[str], Mapped]]:
    """Input types that become the same in the same way, together."""
    groups: dict[Any, list[Mapped]] = {}
    for one in mapped:
        groups.setdefault((one.output, one.fields), []).append(one)
    for group in groups.values():
        yield [one.input for one in group], group[0]


def _mapping(inputs: list[str], mapped: Mapped) -> Iterator[str]:
    yield f"{', '.join(inputs)} → {mapped.output}"
    if mapped.as_it_came:
        yield f"  as it came, {len(mapped.fields)} fields"
        for kind in Classification:
            names = [made.field.name for made in mapped.fields if made.field.classification == kind]
            if names:
                yield f"  {kind}: {', '.join(names)}"
        return
    for made in mapped.fields:
        yield from _made(made)
    if mapped.defaults:
        yield f"  not given, so at their default: {', '.join(mapped.defaults)}"


def _made(made: Made) -> Iterator[str]:
    yield f"  {_field(made.field)}"
    yield f"    = {made.expression}"
    for origin in made.origins:
        yield f"    ← {_field(origin)}"
    for origin in made.lowered:
        yield f"    ! {_warning(origin, f'it leaves as {made.field.classification}')}"


def _field(field: Field) -> str:
    column = f" ({field.column})" if field.column else ""
    return f"{field.name}: {field.type}{column}, {field.classification}"


def _warning(origin: Field, what: str) -> str:
    return f"{origin.name} is {origin.classification}, {what}"


def as_values(told: Explanation) -> dict[str, Any]:
    """The same for programs."""
    values = asdict(told)
    for one, mapped in zip(values["mapped"], told.mapped, strict=True):
        one["warnings"] = list(mapped.warnings)
    return values


def finding_lines(finding: Finding) -> Iterator[str]:
    """A failed case: where and what, then what was expected and what came, field by field."""
    yield str(finding.problem)
    for one in finding.differences:
        yield f"  {one.field}"
        yield f"    - {_value(one.expected)}"
        yield f"    + {_value(one.came)}"


def _value(value: Any) -> str:
    return "nothing" if value is ABSENT else json.dumps(value, ensure_ascii=False, default=repr)


def report_values(report: Report, problems: Iterable[Problem]) -> dict[str, Any]:
    """What came of all cases, for programs."""
    return {
        "problems": [asdict(problem) for problem in problems],
        "cases": [
            {
                "route": result.case.route,
                "case": result.case.name,
                "passed": not result.findings,
                "findings": [_finding(finding) for finding in result.findings],
            }
            for result in report.results
        ],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    changed = [
        {"field": d.field, "expected": _value(d.expected), "came": _value(d.came)}
        for d in finding.differences
    ]
    return {**asdict(finding.problem), "differences": changed}
