"""Checks a route against its schemas before anything runs, and knows which output field comes from where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property

import polars as pl

from hub.registry.schemas import Registry, Schema
from hub.routes.columns import Shape, column_type
from hub.routes.declaration import Route
from hub.routes.rules import faults

TO = "\0to"
SUBJECT = "\0subject"
ROW = "\0row"
_PASSING = "\0passing"

_NO_COLUMN = "can be no column: map in `python`"


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
        return lazy.select(self._chosen)

    def at_once(self, frame: pl.DataFrame) -> pl.DataFrame:
        """What `query` gives, on the calling thread alone: for so few rows that a query costs more to begin."""
        rows = frame.with_row_index(ROW)
        if self.route.when is not None:
            passing = rows.select_seq(self.route.when.alias(_PASSING), ROW)[_PASSING]
            if not passing.sum():
                return self.nothing
            rows = rows.filter(passing)
        return rows.select_seq(self._chosen)

    @cached_property
    def _chosen(self) -> list[pl.Expr]:
        named = [expression.alias(name) for name, expression in self.route.columns.items()]
        reads = map(pl.col, self.route.reads)
        return [*named, *reads, self.route.to.alias(TO), self.route.subject.alias(SUBJECT), pl.col(ROW)]


def compile_route(route: Route, registry: Registry) -> list[CompiledRoute]:
    """One compiled route for every event type that `on` takes. Raises RouteError."""
    if fault := next(faults(route), ""):
        raise RouteError(f"route {route.name}: {fault}")
    types = registry.types()
    for wanted in route.on:
        if not any(fnmatchcase(name, wanted) for name in types):
            raise RouteError(f"route {route.name}: no event type fits {wanted}{_nearest(wanted, types)}")
    inputs = [name for name in types if any(fnmatchcase(name, wanted) for wanted in route.on)]
    return [_compile(route, registry, name) for name in inputs]


def _compile(route: Route, registry: Registry, input_type: str) -> CompiledRoute:
    source = registry.by_type(input_type)
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
            has = "no column for" if column in {one.name for one in source.fields} else "no field"
            near = _nearest(column, shape.columns)
            raise RouteError(f"route {route.name}: {input_type} has {has} {column}{near}")
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
    _check_fields(compiled, result.schema)


def _check_fields(compiled: CompiledRoute, given: Mapping[str, pl.DataType]) -> None:
    """That the columns are fields of the output, each of its type, and that none is missing."""
    name, output = f"route {compiled.route.name}", compiled.output.type
    fields = {field.name: field.type for field in compiled.output.fields}
    for field in compiled.route.columns:
        if field not in fields:
            raise RouteError(f"{name}: {output} has no field {field}{_nearest(field, fields)}")
        expected = column_type(fields[field])
        if expected is None:
            raise RouteError(f"{name}: {field} of {output} {_NO_COLUMN}")
        fitting = (expected, pl.Null) if isinstance(fields[field], list) else (expected,)
        if given[field] not in fitting:
            raise RouteError(f"{name}: {field} is {given[field]}, {output} takes {expected}")
    needed = {one["name"] for one in compiled.output.definition["fields"] if "default" not in one}
    if missing := sorted(needed - set(compiled.route.columns)):
        beyond = [field for field in missing if column_type(fields[field]) is None]
        remedy = f"; {', '.join(beyond)} {_NO_COLUMN}" if beyond else ""
        raise RouteError(f"{name}: {output} needs {', '.join(missing)} as well{remedy}")


def _roots(expression: pl.Expr) -> tuple[str, ...]:
    return tuple(dict.fromkeys(expression.meta.root_names()))


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
