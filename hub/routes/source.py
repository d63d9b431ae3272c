"""What a route's author wrote, taken from the module itself: Polars' own text leaves out arguments."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hub.routes.loader import Place

_SHOWN_NAMES = (ast.Assign, ast.AnnAssign)


@dataclass(frozen=True, slots=True)
class Written:
    """A route's declaration: its line, and the text of each expression as far as it stands there.

    `arguments` holds `when`, `to`, `subject` and `python`; `columns` the output fields. What is computed elsewhere
    is missing from both. `names` are the module's own constants that these texts use.
    """

    line: int
    arguments: Mapping[str, str]
    columns: Mapping[str, str]
    names: Mapping[str, str]


def written(place: Place) -> Written:
    """Read the declaration at `place`; empty where the module gives the route its name in another way."""
    text = place.path.read_text()
    module = ast.parse(text)
    values = dict(_assigned(module.body))
    declared = values.get(place.variable)
    if not isinstance(declared, ast.Call):
        return Written(getattr(declared, "lineno", 0), {}, {}, {})
    keywords = {one.arg: one.value for one in declared.keywords if one.arg}
    columns = dict(_items(keywords.pop("columns", None)))
    used = _used([*keywords.values(), *columns.values()])
    return Written(
        declared.lineno,
        {name: _text(text, node) for name, node in keywords.items()},
        {name: _text(text, node) for name, node in columns.items()},
        {name: _text(text, node) for name, node in values.items() if name in used},
    )


def _assigned(body: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for statement in body:
        if isinstance(statement, _SHOWN_NAMES) and statement.value is not None:
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    yield target.id, statement.value


def _items(columns: ast.expr | None) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(columns, ast.Dict):
        for key, value in zip(columns.keys, columns.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value


def _used(nodes: Iterable[ast.expr]) -> set[str]:
    return {inner.id for node in nodes for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _text(source: str, node: ast.expr) -> str:
    """In one line. A text that runs over several lines keeps its own line breaks."""
    segment = ast.get_source_segment(source, node) or ast.unparse(node)
    return ast.unparse(node) if "\n" in segment else segment
