"""What a route does, told per output field: the expression, where it comes from, and how both are to be guarded."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from hub.events.model import Classification
from hub.routes.compiler import CompiledRoute
from hub.routes.describe import Field, describe
from hub.routes.source import Written

_ORDER = list(Classification)


class UnknownRouteError(LookupError):
    """There is no route of that name; the message has the nearest one."""


@dataclass(frozen=True, slots=True)
class Made:
    """An output field, the expression that makes it, and the input fields that the expression reads."""

    field: Field
    expression: str
    origins: tuple[Field, ...]

    @property
    def lowered(self) -> tuple[Field, ...]:
        """Origins that are classified higher than what is made of them."""
        return tuple(one for one in self.origins if _higher(one, self.field.classification))


@dataclass(frozen=True, slots=True)
class Steering:
    """`when`, `to` or `subject`, and what it reads."""

    name: str
    expression: str
    origins: tuple[Field, ...]

    @property
    def lowered(self) -> tuple[Field, ...]:
        """What a `subject` makes of personal fields: it is an attribute of the envelope."""
        wanted = self.origins if self.name == "subject" else ()
        return tuple(one for one in wanted if _higher(one, Classification.INTERNAL))


@dataclass(frozen=True, slots=True)
class Mapped:
    """What becomes of one input type. `defaults` are output fields that the route does not give."""

    input: str
    output: str
    as_it_came: bool
    steering: tuple[Steering, ...]
    fields: tuple[Made, ...]
    defaults: tuple[str, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Where something leaves under a lower classification than it came with."""
        made = [(one.field.name, one.field.classification, one.lowered) for one in self.fields]
        steering = [(f"`{one.name}`", Classification.INTERNAL, one.lowered) for one in self.steering]
        return tuple(
            f"{name} is {classification}, but {origin.name} is {origin.classification}"
            for name, classification, lowered in (*steering, *made)
            for origin in lowered
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """A route, for every input type that it takes. `names` are constants that its expressions use."""

    name: str
    on: tuple[str, ...]
    emits: str
    python: str
    ordered: bool
    names: Mapping[str, str]
    mapped: tuple[Mapped, ...]


def named(routes: Iterable[CompiledRoute], name: str) -> list[CompiledRoute]:
    """A route in all its input types. Raises UnknownRouteError."""
    known: dict[str, list[CompiledRoute]] = {}
    for one in routes:
        known.setdefault(one.route.name, []).append(one)
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        raise UnknownRouteError(
            f"there is no route {name}" + (f"; did you mean {close[0]}?" if close else "")
        )
    return known[name]


def explain(compiled: Sequence[CompiledRoute], source: Written) -> Explanation:
    """Explain one route from all its compiled forms and its declaration."""
    route = compiled[0].route
    return Explanation(
        route.name,
        route.on,
        route.emits or "",
        _python_name(compiled[0]),
        route.ordered,
        source.names,
        tuple(_mapped(one, source) for one in compiled),
    )


def _mapped(compiled: CompiledRoute, source: Written) -> Mapped:
    route = compiled.route
    steering = tuple(
        Steering(name, source.arguments.get(name, str(expression)), _origins(compiled, _roots(expression)))
        for name, expression in (("when", route.when), ("to", route.to), ("subject", route.subject))
        if expression is not None
    )
    as_it_came = not route.columns and not _python_name(compiled)
    names = list(route.columns) or [one.name for one in compiled.output.fields]
    fields = tuple(_made(compiled, name, source) for name in names)
    given = {one.field.name for one in fields}
    defaults = tuple(one.name for one in compiled.output.fields if one.name not in given)
    return Mapped(compiled.input.type, compiled.output.type, as_it_came, steering, fields, defaults)


def _made(compiled: CompiledRoute, name: str, source: Written) -> Made:
    field = describe(compiled.output, name)
    route, python = compiled.route, _python_name(compiled)
    if route.columns:
        text = source.columns.get(name, str(route.columns[name]))
        return Made(field, text, _origins(compiled, compiled.lineage.get(name, ())))
    if python:
        reads = compiled.lineage.get(name) or getattr(route, "reads", ()) or compiled.reads
        return Made(field, f"Python function {python}", _origins(compiled, reads))
    return Made(field, f'col("{name}")', (describe(compiled.input, name),))


def _python_name(compiled: CompiledRoute) -> str:
    function = getattr(compiled.route, "python", None)
    return str(getattr(function, "__name__", function)) if function is not None else ""


def _origins(compiled: CompiledRoute, names: Iterable[str]) -> tuple[Field, ...]:
    return tuple(describe(compiled.input, name) for name in names)


def _roots(expression: pl.Expr) -> list[str]:
    return list(dict.fromkeys(expression.meta.root_names()))


def _higher(origin: Field, than: Classification) -> bool:
    return _ORDER.index(origin.classification) > _ORDER.index(than)
