"""Which dead letters belong together: those of one parked subject go in one job, or those behind wait on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from hub.journal.queries import NotFound, Queries
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
    for park, waiting in behind.items():
        try:
            first = journal.failure(park)
        except NotFound:
            continue
        if park in parks or park in every or (first.event_id, first.route) in places:
            # The first may have failed again meanwhile, under another id.
            firsts = [
                one
                for one in journal.failures_of(first.event_id)
                if one.status == "open" and one.route == first.route
            ]
            every |= {failure.id: failure for failure in (*firsts, *waiting)}
    return in_order(every.values())
