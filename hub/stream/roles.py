"""What a worker process does: all stages, or those of some roles.

Apart, what is not on an event's way cannot hold it up: Python runs one thread of a process at a time
(docs/decisions/0016).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum


class Role(StrEnum):
    """Stages that share a process. Route is not beside translate, which routes what it writes itself, so that little
    is left to it; poll and journal do what nobody waits for."""

    EVENTS = "events"
    DELIVERY = "delivery"
    UPKEEP = "upkeep"


_STAGES: Mapping[Role, frozenset[str]] = {
    Role.EVENTS: frozenset({"translate"}),
    Role.DELIVERY: frozenset({"route", "deliver"}),
    Role.UPKEEP: frozenset({"poll", "journal"}),
}


def stages_in(roles: Iterable[Role]) -> frozenset[str]:
    """All stages of these roles."""
    return frozenset().union(*(_STAGES[role] for role in roles))
