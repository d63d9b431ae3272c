"""Checks a route against its schemas before anything runs, and knows which output field comes from where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

import polars as pl

from hub.registry.schemas import Registry, Schema
from hub.routes.columns import Shape
from hub.routes.declaration import Route

TO = "\0to"
SUBJECT = "\0subject"
ROW = "\0row"


class RouteError(Exception):
    """A route that cannot run; the message names route, field, both types and the remedy."""


@dataclass(frozen=True)
class CompiledRoute:
    """A route for one input type: what it reads, what it makes, and each output field's origin."""

    route: Route
    input: Schema
    output: Schema
    shape: Shape
    reads: tuple[str, ...]
    lineage: Mapping[str, tuple[str, ...]]

    @cached_property
    def nothing(self) -> pl.DataFrame:
        """What `query` gives for no rows. Raises PolarsError for expressions that do not fit the columns' types."""
        return self.query(
            pl.DataFrame(schema={name: self.shape.column(name) for name in self.reads})
        ).collect()

    @property
    def passes_on(self) -> bool:
        """Whether the data goes on as it came."""
        return not self.route.emits

    def query(self, frame: pl.DataFrame, first: int = 0) -> pl.LazyFrame:
        """Filter and map a frame of `reads`; the result has `TO`, `SUBJECT`, `ROW` and the output's fields.

        `ROW` counts the frame's rows from `first`. For a mapping in Python its `reads` are in the fields' place.
        """
        lazy = frame.with_row_index(ROW, first).lazy()
        if self.route.when is not None:
            lazy = lazy.filter(self.route.when)
        named = [expression.alias(name) for name, expression in self.route.columns.items()]
        chosen = [
            *named,
            *self.route.reads,
            self.route.to.alias(TO),
            self.route.subject.alias(SUBJECT),
            pl.col(ROW),
        ]
        return lazy.select(chosen)


def compile_route(route: Route, registry: Registry) -> list[CompiledRoute]:
    """One compiled route for every event type that `on` takes. Raises RouteError."""
    inputs = [name for name in registry.types() if any(fnmatchcase(name, wanted) for wanted in route.on)]
    if not inputs:
        near = _nearest(route.on[0], registry.types())
        raise RouteError(f"route {route.name}: no event type fits {', '.join(route.on)}{near}")
    return [_compile(route, registry, name) for name in inputs]


def _compile(route: Route, registry: Registry, input_type: str) -> CompiledRoute:
    source = registry.by_type(input_type)
    if route.columns and route.python:
        raise RouteError(f"route {route.name}: give `columns` or `python`, not both")
    if bool(route.reads) != bool(route.python):
        raise RouteError(f"route {route.name}: `python` and the columns that it `reads` go together")
    if bool(route.emits) != bool(route.columns or route.python):
        raise RouteError(f"route {route.name}: give both `emits` and `columns` (or `python`), or neither")
    if route.emits and route.emits not in registry.types():
        near = _nearest(route.emits, registry.types())
        raise RouteError(f"route {route.name}: emits {route.emits}, which has no schema{near}")
    target = registry.by_type(route.emits or input_type)
    shape = Shape(source.definition)
    lineage = {name: _roots(expression) for name, expression in route.columns.items()}
    steering = [e for e in (route.when, route.to, route.subject) if e is not None]
    reads = sorted(
        {
            *route.reads,
            *(root for e in steering for root in _roots(e)),
            *(r for rs in lineage.values() for r in rs),
        }
    )
    for column in reads:
        if shape.column(column) is None:
            near = _nearest(column, shape.columns)
            raise RouteError(f"route {route.name}: {input_type} has no field {column}{near}")
    compiled = CompiledRoute(route, source, target, shape, tuple(reads), lineage)
    _check_types(compiled)
    return compiled


def _check_types(compiled: CompiledRoute) -> None:
    route = compiled.route
    try:
        result = compiled.nothing
    except pl.exceptions.PolarsError as error:
        raise RouteError(f"route {route.name}: {str(error).splitlines()[0]}") from None
    for steering, name in ((TO, "to"), (SUBJECT, "subject")):
        if result.schema[steering] != pl.String:
            raise RouteError(
                f"route {route.name}: `{name}` gives {result.schema[steering]}, a text is needed"
            )
    if compiled.passes_on or route.python:
        return  # what Python gives is known, and checked, event by event
    wanted = Shape(compiled.output.definition)
    for name in route.columns:
        expected = wanted.column(name)
        if expected is None:
            near = _nearest(name, wanted.columns)
            raise RouteError(f"route {route.name}: {compiled.output.type} has no field {name}{near}")
        if result.schema[name] not in (expected, pl.Null):
            raise RouteError(
                f"route {route.name}: {name} is {result.schema[name]}, {compiled.output.type} takes {expected}"
            )
    missing = sorted(wanted.required - set(route.columns))
    if missing:
        raise RouteError(f"route {route.name}: {compiled.output.type} needs {', '.join(missing)} as well")


def _roots(expression: pl.Expr) -> tuple[str, ...]:
    return tuple(dict.fromkeys(expression.meta.root_names()))


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
