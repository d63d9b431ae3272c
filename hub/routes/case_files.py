"""Golden cases as people write them: `routes/<module>.cases.yaml`, read with the line of everything in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from hub.events.problem import Misconfigured, Problem
from hub.routes.cases import FILE, TAGS, Given, Output, Refusal

SUFFIX = ".cases.yaml"

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `place` finds its lines in `file`; `expect` is None until somebody has said what is right."""

    route: str
    name: str
    given: Given
    expect: str | Refusal | list[Output] | None
    file: CaseFile
    place: Place

    def problem(self, message: str, remedy: str, *inner: str | int) -> Problem:
        """A finding at a place within the case, or at the nearest around it."""
        return Problem(
            self.file.shown, self.file.line(*self.place, *inner), f"{self.title}: {message}", remedy
        )

    @property
    def title(self) -> str:
        """Route and case."""
        return f"{self.route}: {self.name}"


class CaseFile:
    """A file of cases, read and checked for shape. Raises Misconfigured."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.shown = f"{path.parent.name}/{path.name}"
        self.text = text if text.endswith("\n") else text + "\n"
        self._lines: dict[Place, int] = {}
        self._root: yaml.Node | None = None
        self.cases = list(self._read())

    @property
    def module(self) -> Path:
        """The module beside it, whose routes these cases are for."""
        return self.path.with_name(self.path.name.removesuffix(SUFFIX) + ".py")

    def line(self, *place: str | int) -> int:
        """The line of an entry, or of the nearest entry around it."""
        while place and place not in self._lines:
            place = place[:-1]
        return self._lines.get(place, 0)

    def problem(self, message: str, *place: str | int, remedy: str = "Mend it") -> Problem:
        """A finding at `place`."""
        return Problem(self.shown, self.line(*place), message, remedy)

    def open_end(self, case: Case) -> tuple[int, int] | None:
        """Where `expect` can be added to a case: indentation, and how many lines come before.

        None for a case in braces, and for one that has the key already.
        """
        node = self._root
        for part in case.place:
            if isinstance(node, yaml.MappingNode):
                node = next(value for key, value in node.value if key.value == part)
            elif isinstance(node, yaml.SequenceNode):
                node = node.value[int(part)]
        if (
            not isinstance(node, yaml.MappingNode)
            or node.flow_style
            or "expect" in {k.value for k, _ in node.value}
        ):
            return None
        return node.start_mark.column, node.end_mark.line

    def _read(self) -> Iterator[Case]:
        try:
            self._root = yaml.compose(self.text, Loader=_Loader)
            for place, line in _lines(self._root):
                if place in self._lines:
                    raise Misconfigured(
                        [Problem(self.shown, line, f"{place[-1]} stands there twice", "Keep one")]
                    )
                self._lines[place] = line
            written = FILE.validate_python(yaml.load(self.text, Loader=_Loader) or {})  # noqa: S506 - a SafeLoader
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            told = getattr(error, "problem", None) or "unreadable"
            problem = Problem(self.shown, mark.line + 1 if mark else 0, f"not YAML: {told}", "Mend it")
            raise Misconfigured([problem]) from None
        except ValidationError as error:
            raise Misconfigured(
                [self._fault(fault["loc"], fault["msg"]) for fault in error.errors()]
            ) from None
        for route, cases in written.items():
            for index, one in enumerate(cases):
                if one.case in {other.case for other in cases[:index]}:
                    raise Misconfigured([self.problem(f"two cases are called {one.case!r}", route, index)])
                yield Case(
                    route,
                    one.case,
                    _resolved(self, one.given, (route, index)),
                    one.expect,
                    self,
                    (route, index),
                )

    def _fault(self, loc: Place, message: str) -> Problem:
        place = tuple(part for part in loc if part not in TAGS.values())
        return self.problem(f"{'.'.join(map(str, place))}: {message}", *place)


def read_cases(folder: Path) -> tuple[list[Case], list[Problem]]:
    """All cases under `routes/`, and what is wrong with their files."""
    cases: list[Case] = []
    problems: list[Problem] = []
    for path in sorted(folder.glob("*" + SUFFIX)):
        try:
            cases.extend(CaseFile(path, path.read_text("utf-8")).cases)
        except UnicodeDecodeError:
            problems.append(Problem(f"{folder.name}/{path.name}", 0, "is not UTF-8", "Save it as UTF-8"))
        except Misconfigured as error:
            problems.extend(error.problems)
    return cases, problems


def _resolved(file: CaseFile, given: Given, place: Place) -> Given:
    """`given` over what the file that it is `like` has."""
    if not given.like:
        return given
    place = (*place, "given", "like")
    path = (file.path.parent / given.like).resolve()
    if not path.is_relative_to(file.path.parent.resolve()) or not path.is_file():
        remedy = "Name a JSON file by its path from the cases' folder"
        raise Misconfigured([file.problem(f"there is no file {given.like}", *place, remedy=remedy)])
    try:
        base = Given.model_validate(json.loads(path.read_text("utf-8")))
    except ValidationError as error:
        fault = error.errors()[0]
        told = f"{given.like}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        raise Misconfigured([file.problem(told, *place)]) from None
    except ValueError:
        raise Misconfigured([file.problem(f"{given.like} is not JSON", *place)]) from None
    over = {name: getattr(given, name) for name in given.model_fields_set if name != "like"}
    return base.model_copy(update={**over, "data": {**base.data, **given.data}})


#: YAML's rules for plain scalars but the one for dates and times: a contract's field may want either as text.
RESOLVERS = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers = RESOLVERS


def _lines(node: yaml.Node | None, place: Place = ()) -> Iterator[tuple[Place, int]]:
    """The line of every key and item, a key that stands twice given twice."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            yield (*place, index), value.start_mark.line + 1
            yield from _lines(value, (*place, index))
