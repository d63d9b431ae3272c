"""What holds for a route whatever its contracts: its fields are of the right kind, and go together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import polars as pl

from hub.routes.declaration import Route

_EXPRESSION = 'write an expression: col("reference") for a field, lit("E08000025") for a text as it stands'
_TEXTS = 'write texts in brackets, with a comma after a single one too: ("payments.payment.captured",)'

#: Of what kind each field of a route is, and what to write otherwise.
_KINDS: Mapping[str, tuple[Any, str]] = {
    "name": (str, "write a text"),
    "on": (tuple | list, _TEXTS),
    "to": (pl.Expr, _EXPRESSION),
    "when": (pl.Expr | None, _EXPRESSION),
    "emits": (str | None, "write an event type, as a text"),
    "columns": (Mapping, "write a dict of expressions, by fields of the output"),
    "python": (Callable | None, "name a function"),
    "reads": (tuple | list, _TEXTS),
    "subject": (pl.Expr, _EXPRESSION),
}


def faults(route: Route) -> Iterator[str]:
    """What is wrong with a route as it is written. Only the first is sure: the others may follow from it."""
    for name, (kind, remedy) in _KINDS.items():
        if not isinstance(given := getattr(route, name), kind):
            yield f"`{name}` is {given!r}; {remedy}"
    for name in ("on", "reads"):
        yield from (f"`{name}` has {one!r}; {_TEXTS}" for one in getattr(route, name) if type(one) is not str)
    if not route.on:
        yield "`on` is empty; name the event types that it takes, or a pattern such as payments.*"
    if route.columns and route.python:
        yield "give `columns` or `python`, not both"
    if bool(route.reads) != bool(route.python):
        yield "`python` and the columns that it `reads` go together"
    if bool(route.emits) != bool(route.columns or route.python):
        yield "give both `emits` and `columns` (or `python`), or neither"
    for name, expression in route.columns.items():
        if not isinstance(expression, pl.Expr):
            yield f"`{name}` is {expression!r}; {_EXPRESSION}"
