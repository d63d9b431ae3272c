"""Runs routes over batches of events: pure, columns in and columns out, one bad event costs only itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import polars as pl

from hub.events.envelope import Event
from hub.events.ids import derive, traceparent
from hub.routes.compiler import ROW, SUBJECT, TO, CompiledRoute


@dataclass(frozen=True, slots=True)
class Routed:
    """An output event for `party`, made by `route` from the input at index `row` of the batch."""

    row: int
    route: str
    party: str
    event: Event


@dataclass(frozen=True, slots=True)
class Refused:
    """An input that a route could not map, with the reason."""

    row: int
    route: str
    reason: str
    field: str = ""


class Engine:
    """All routes, found by event type, so that an event costs only the routes that take it."""

    def __init__(self, compiled: Iterable[CompiledRoute], parties: Iterable[str]) -> None:
        self._by_type: dict[str, list[CompiledRoute]] = defaultdict(list)
        for route in compiled:
            self._by_type[route.input.type].append(route)
        self._parties = frozenset(parties)

    def run(self, events: Sequence[Event]) -> tuple[list[Routed], list[Refused]]:
        """Route a batch. Outputs are in the order of their inputs, and per input in the order of the routes."""
        by_type: dict[str, list[int]] = defaultdict(list)
        for row, event in enumerate(events):
            by_type[event.envelope.type].append(row)
        routed: list[Routed] = []
        refused: list[Refused] = []
        for event_type, rows in by_type.items():
            for compiled in self._by_type.get(event_type, ()):
                self._run_one(compiled, events, rows, routed, refused)
        routed.sort(key=lambda output: output.row)  # stable: routes keep their order
        return routed, refused

    def _run_one(
        self,
        compiled: CompiledRoute,
        events: Sequence[Event],
        rows: list[int],
        routed: list[Routed],
        refused: list[Refused],
    ) -> None:
        try:
            frame = compiled.shape.frame([events[row] for row in rows], compiled.reads)
            result = compiled.apply(frame).to_dicts()
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            if len(rows) == 1:
                refused.append(
                    Refused(rows[0], compiled.route.name, f"mapping failed: {type(error).__name__}")
                )
                return
            half = len(rows) // 2  # find the bad one; the others go on
            self._run_one(compiled, events, rows[:half], routed, refused)
            self._run_one(compiled, events, rows[half:], routed, refused)
            return
        for found in result:
            row = rows[found.pop(ROW)]
            party, subject = found.pop(TO), found.pop(SUBJECT)
            if party not in self._parties:
                refused.append(Refused(row, compiled.route.name, "`to` names no party of this hub", "to"))
            elif not subject:
                refused.append(Refused(row, compiled.route.name, "`subject` is empty", "subject"))
            else:
                data = events[row].data if compiled.passes_on else found
                envelope = events[row].envelope
                output_id = derive(compiled.route.name, party, envelope.id)
                made = replace(
                    envelope,
                    id=output_id,
                    source=f"/routes/{compiled.route.name}",
                    type=compiled.output.type,
                    subject=subject,
                    party=party,
                    causation_id=envelope.id,
                    traceparent=traceparent(envelope.correlation_id, output_id),
                    dataschema=f"/schemas/ids/{compiled.output.id}",
                )
                routed.append(Routed(row, compiled.route.name, party, Event(made, data)))
