"""What a worker process does: all stages, or those of some roles.

Apart, what is not on an event's way cannot hold it up: Python runs one thread of a process at a time
(docs/decisions/0016).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Role(StrEnum):
    """Stages that share a process: translate and route what they remember of parked subjects, poll and journal the
    time of what nobody waits for."""

    EVENTS = "events"
    DELIVERY = "delivery"
    UPKEEP = "upkeep"


_STAGES: Mapping[Role, frozenset[str]] = {
    Role.EVENTS: frozenset({"translate", "route"}),
    Role.DELIVERY: frozenset({"deliver"}),
    Role.UPKEEP: frozenset({"poll", "journal"}),
}


def stages_in(roles: Iterable[Role]) -> frozenset[str]:
    """All stages of these roles."""
    return frozenset().union(*(_STAGES[role] for role in roles))
