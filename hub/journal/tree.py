"""One case as trees: raw record → event → routed event → delivery attempts, by what caused what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import msgspec

from hub.journal.rows import EventRow, Step


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One event, raw record or step in the tree. `kind` is raw, event, attempt or failure; `at` epoch seconds."""

    kind: str
    id: str
    label: str
    state: str
    at: float
    reason: str = ""
    children: list[Node] = []


_SHOWN = frozenset({"delivered", "attempt-failed", "ended", "dead-lettered", "redriven", "duplicate"})


def build(events: Sequence[EventRow], steps: Sequence[Step]) -> list[Node]:
    """The trees of these events, oldest root first; a cause that is not among them makes a root."""
    by_id = {event.id: event for event in events}
    caused: dict[str, list[EventRow]] = defaultdict(list)
    happened: dict[str, list[Step]] = defaultdict(list)
    for event in events:
        caused[event.causation_id if event.causation_id in by_id else ""].append(event)
    for step in steps:
        if step.outcome in _SHOWN:
            happened[step.event_id].append(step)

    def node(event: EventRow) -> Node:
        below = [node(child) for child in caused.get(event.id, ())]
        below += [_step_node(step) for step in happened.get(event.id, ())]
        raw = not event.type
        who = f"raw record from {event.source}" if raw else f"{event.type} {event.subject}"
        via = f" → {event.party} by {event.route}" if event.route else ""
        return Node(
            kind="raw" if raw else "event",
            id=event.id,
            label=who + via,
            state=event.state,
            at=event.first_at,
            children=sorted(below, key=lambda child: child.at),
        )

    return sorted((node(root) for root in caused[""]), key=lambda root: root.at)


def _step_node(step: Step) -> Node:
    if step.dead_letter:
        kind, label = "failure", f"{step.outcome} at {step.stage}"
    elif step.outcome == "duplicate":
        kind, label = "attempt", "told again: recognised as a duplicate"
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
