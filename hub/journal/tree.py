"""One case as trees: raw record → event → routed event → delivery attempts, by what caused what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from hub.journal.entry import rank
from hub.journal.rows import EventRow, Step


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One event, raw record or step in the tree; `at` in epoch seconds.

    `kind` is raw, event, attempt, failure, or repeat: an event that was there already, told again.
    """

    kind: str
    id: str
    label: str
    state: str
    at: float
    reason: str = ""
    children: list[Node] = []


_SHOWN = frozenset(
    {"delivered", "attempt-failed", "ended", "dead-lettered", "redriven", "archived", "duplicate"}
)


def build(events: Sequence[EventRow], steps: Sequence[Step]) -> list[Node]:
    """The trees of these events, oldest root first; a cause that is not among them makes a root.

    Each event is in them once, also where causes run in a circle: the oldest of the circle is then the root.
    """
    by_id = {event.id: event for event in events}
    caused: dict[str, list[EventRow]] = defaultdict(list)
    happened: dict[str, list[Node]] = defaultdict(list)
    for event in events:
        caused[event.causation_id if event.causation_id in by_id else ""].append(event)
    for step in steps:
        if step.outcome in _SHOWN and step.event_id in by_id:
            # A repeat belongs to the record that told it again, where we have that.
            repeat = step.outcome == "duplicate" and step.causation_id in by_id
            happened[step.causation_id if repeat else step.event_id].append(_step_node(step))
    drawn: set[str] = set()

    def node(event: EventRow) -> Node:
        drawn.add(event.id)
        below = [node(child) for child in caused.get(event.id, ()) if child.id not in drawn]
        below += happened.get(event.id, ())
        # Several in one instant are drawn in the same order each time, whichever came to the journal first.
        return _event_node(event, sorted(below, key=lambda one: (one.at, rank(one.state), one.label, one.id)))

    roots = [node(root) for root in caused[""]]
    roots += [node(lost) for lost in sorted(events, key=_age) if lost.id not in drawn]
    return sorted(roots, key=lambda root: (root.at, root.id))


def in_order(step: Step) -> tuple[float, int, int, str, int]:
    """Sorts steps by time; those of one instant by how far on the way they are, not by when we read them."""
    return step.at, rank(step.outcome), step.attempt, step.subscription, step.number


def _age(event: EventRow) -> tuple[float, str]:
    return event.first_at, event.id


def _event_node(event: EventRow, children: list[Node]) -> Node:
    raw = not event.type
    who = f"raw record from {event.source}" if raw else f"{event.type} {event.subject}"
    via = f" → {event.party} by {event.route}" if event.route else ""
    return Node(
        kind="raw" if raw else "event",
        id=event.id,
        label=who + via,
        state=event.state,
        at=event.first_at,
        children=children,
    )


def _step_node(step: Step) -> Node:
    if step.dead_letter:
        kind, label = "failure", f"{step.outcome} at {step.stage}"
    elif step.outcome == "duplicate":
        kind, label = "repeat", f"{step.type} {step.subject} told again"
    else:
        kind = "attempt"
        label = f"attempt {step.attempt} to subscription {step.subscription}"
        label += f": {step.status}" if step.status else ""
    return Node(
        kind=kind,
        id=step.dead_letter or step.event_id,
        label=label,
        state=step.outcome,
        at=step.at,
        reason=step.reason,
    )
