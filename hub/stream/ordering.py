"""Where order matters: what became of some batches, less what has to wait behind an earlier failure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from hub.delivery.dead_letter import DeadLetter
from hub.routes.engine import Outcome, Refused
from hub.sdk.errors import Reject
from hub.stream.parked import Held, Turn, ticket_of
from hub.stream.records import Output, Record
from hub.stream.stage import dead_letter_outputs


@dataclass(frozen=True, slots=True)
class Part:
    """One batch among those of a transaction: the rows that are its records, and what is parked there."""

    rows: range
    held: Held


@dataclass(slots=True)
class Turns:
    """What `in_turn` decided: `outputs` to write, and per ordered route the rows that were dealt with thereby."""

    outputs: list[Output] = field(default_factory=list)
    over: dict[str, set[int]] = field(default_factory=dict)

    def without(self, outcome: Outcome) -> Outcome:
        """What is left of `outcome`."""
        return outcome.where(lambda row, route: row not in self.over.get(route, ())) if self.over else outcome

    @property
    def rows(self) -> set[int]:
        """All rows that were dealt with at some route."""
        return set().union(*self.over.values())


def in_turn(
    outcome: Outcome,
    parts: Sequence[Part],
    ordered: Collection[str],
    record: Callable[[int], Record],
    letter: Callable[[Record, Refused], DeadLetter],
) -> Turns:
    """Let every record have its turn at the ordered routes that it met, as `hub.stream.parked` says how.

    `record` gives that of a row, `letter` the dead letter of a refusal. A batch in which nothing is parked and
    nothing is refused costs a look.
    """
    turns = Turns()
    for part in parts:
        if not part.held.quiet:
            turns.outputs += part.held.opening([record(row) for row in part.rows])
    for route in ordered:
        faults = {fault.row: fault for fault in outcome.refused if fault.route == route}
        met = {row for made in outcome.routed if made.route == route for row in made.rows}
        for part in parts:
            if part.held.quiet and not any(row in part.rows for row in faults):
                continue
            one = _Place(route, part.held, faults, met, letter)
            for row in part.rows:
                outputs, over = one.turn(row, record(row))
                turns.outputs += outputs
                if over:
                    turns.over.setdefault(route, set()).add(row)
    return turns


def set_apart(
    record: Record,
    faults: Sequence[Refused],
    held: Held | None,
    ordered: Collection[str],
    letter: Callable[[Record, Refused], DeadLetter],
) -> list[Output]:
    """What is written for a record that nothing can come of at the routes of `faults`, for these reasons."""
    outputs = held.opening([record]) if held else []
    for fault in faults:
        if held and fault.route in ordered:
            outputs += _Place(fault.route, held, {fault.row: fault}, (), letter).turn(fault.row, record)[0]
        else:
            outputs += dead_letter_outputs(record, letter(record, fault))
    return outputs


@dataclass(frozen=True, slots=True)
class _Place:
    """One ordered route over one batch: which rows it refused, and for which it made something."""

    route: str
    held: Held
    faults: Mapping[int, Refused]
    met: Collection[int]
    letter: Callable[[Record, Refused], DeadLetter]

    def turn(self, row: int, record: Record) -> tuple[list[Output], bool]:
        """What is written for a row, and whether that is all that comes of it here."""
        fault = self.faults.get(row)
        if fault is None and row not in self.met and not self._numbered(record):
            return [], False
        if self.held.turn(self.route, record) is not Turn.GO:
            return self.held.set_aside(
                self.route, record, lambda waits: self._waiting(row, record, waits)
            ), True
        if fault is not None:
            return self.held.failed(self.route, record, self.letter(record, fault)), True
        return self.held.passed(self.route, record), False

    def _numbered(self, record: Record) -> bool:
        """Whether it has a number here: one of another route is for that route alone."""
        ticket = ticket_of(record.headers)
        return ticket is not None and ticket.place == self.route

    def _waiting(self, row: int, record: Record, waits: Reject) -> DeadLetter:
        return self.letter(record, Refused(row, self.route, waits.reason, waits.field, waits.kind))
