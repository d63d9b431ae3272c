"""What a route's author writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import polars as pl

#: Envelope attributes that an expression can use, beside the fields of the event's data.
ENVELOPE_COLUMNS: Mapping[str, type[pl.DataType]] = {
    "ce.id": pl.String,
    "ce.source": pl.String,
    "ce.type": pl.String,
    "ce.subject": pl.String,
    "ce.time": pl.Int64,  # microseconds since 1970, UTC
    "ce.party": pl.String,
}


PythonMapping = Callable[[dict[str, Any]], dict[str, Any] | None]


_MADE: ContextVar[list[Route]] = ContextVar("made")


@contextmanager
def all_made() -> Iterator[list[Route]]:
    """Every route that is made within, whatever becomes of it."""
    made: list[Route] = []
    token = _MADE.set(made)
    try:
        yield made
    finally:
        _MADE.reset(token)


@dataclass(frozen=True, slots=True)
class Route:
    """These event types, through this mapping, into that party's inbox.

    `on` lists event types; a pattern such as `payments.*` takes all that it fits. `when` is a filter; without it
    every event goes. `to` gives the receiving party. With `emits` and `columns`, each output field is a Polars
    expression over the input's dotted field names (`reference`, `metadata.service`) and `ce.*`; without them
    the event goes on as it is. `subject` is the entity of the output, by default the input's.

    Expressions work row by row, on fields that `col` names one by one. Events that come together are one frame, so
    what looks at other rows (`first`, `max`, `shift`, `over`) would tell one person's data in another's event.

    What expressions cannot say, `python` can, in place of `columns`: called with the columns named in `reads` of
    each event that passes `when`, it gives the output's data, or None for no output. It must be pure. An
    error in it sets that event aside.

    Where `ordered`, an event that is set aside holds up the later ones of its subject at this route, until it is
    redriven with success, or archived; all then go on in their order. Otherwise they pass it by.
    """

    name: str
    on: tuple[str, ...]
    to: pl.Expr
    when: pl.Expr | None = None
    emits: str | None = None
    columns: Mapping[str, pl.Expr] = field(default_factory=dict)
    python: PythonMapping | None = None
    reads: tuple[str, ...] = ()
    subject: pl.Expr = field(default_factory=lambda: pl.col("ce.subject"))
    ordered: bool = False

    def __post_init__(self) -> None:
        _MADE.get([]).append(self)
