"""What holds for a route whatever its contracts: fields of the right kind, expressions that read one event alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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

_ALONE = (
    "which may read other events than its own: those that come together are one frame."
    " Use what works row by row, on fields that `col` names one by one, or map in `python`"
)

#: Polars says that these work row by row; what they search, their second and third input, is whole columns: those of
#: texts it refuses when events come.
_SEARCHES = (
    ".is_in(",
    ".replace(",
    ".replace_strict(",
    ".str.contains_any(",
    ".str.replace_many(",
    ".str.extract_many(",  # and `find_many`
)

#: Polars says that this works row by row, and then looks for what it compares with as one does in what is sorted.
_SORTED = ".set_sorted("


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
    when = pl.lit(True) if route.when is None else route.when
    steering = {"when": when, "to": route.to, "subject": route.subject}
    for name, expression in [*steering.items(), *route.columns.items()]:
        if not isinstance(expression, pl.Expr):
            yield f"`{name}` is {expression!r}; {_EXPRESSION}"
        elif (part := _astray(expression)) is not None:
            yield f"`{name}` has {part}, {_ALONE}"


def _astray(expression: pl.Expr) -> pl.Expr | None:
    """The innermost part that may read other rows than its own: to the whole it may be no more than a value."""
    inputs = expression.meta.pop()[::-1]
    within = (_astray(part) for part in inputs)
    found = next((part for part in within if part is not None), None)
    return expression if found is None and not _by_row(expression, inputs) else found


def _by_row(expression: pl.Expr, inputs: Sequence[pl.Expr]) -> bool:
    meta = expression.meta
    if not inputs:
        return meta.is_literal() or meta.is_column()
    try:
        if meta.has_multiple_outputs():  # the fields of a struct, of which it cannot tell either
            return False
        by_row = meta.is_row_separable() and (meta.is_length_preserving() or not meta.root_names())
    except pl.exceptions.PolarsError:  # what calls Python: there Polars cannot tell
        return False
    name = str(expression).removeprefix(str(inputs[0]))
    if not name.startswith(_SEARCHES):
        return by_row and not name.startswith(_SORTED)
    return by_row and not any(one.meta.root_names() for one in inputs[1:3])
