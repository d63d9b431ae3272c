"""Which dead letters belong together: those of one parked subject go in one job, or those behind wait on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from hub.journal.queries import Queries
from hub.journal.rows import Failure
from hub.stream.parked import waits_for
from hub.stream.redrive import in_order

_WAITS = waits_for("")


def with_those_behind(journal: Queries, chosen: Sequence[Failure]) -> list[Failure]:
    """The chosen dead letters and all that wait with them or behind them, in the order in which they go.

    Only a help: numbers keep the order in any case (`hub.stream.parked`).
    """
    every = {failure.id: failure for failure in chosen}
    behind: dict[str, list[Failure]] = defaultdict(list)
    for failure in journal.waiting_failures():
        behind[failure.reason.removeprefix(_WAITS)].append(failure)
    places = {(failure.event_id, failure.route) for failure in chosen}
    parks = {failure.reason.removeprefix(_WAITS) for failure in chosen if failure.reason.startswith(_WAITS)}
    firsts = journal.failures_among(ids=behind)
    again: dict[tuple[str, str], list[Failure]] = defaultdict(list)
    for failure in journal.failures_among(events={first.event_id for first in firsts}):
        if failure.status == "open":
            again[failure.event_id, failure.route].append(failure)
    for first in firsts:
        place = (first.event_id, first.route)
        if first.id in parks or first.id in every or place in places:
            # The first may have failed again meanwhile, under another id.
            every |= {failure.id: failure for failure in (*again[place], *behind[first.id])}
    return in_order(every.values())
