"""How often a broker is asked for records, and for which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set
from typing import TypeVar

P = TypeVar("P")

#: Seconds between two fetches of one broker under load, and how many it is asked at once after a pause.
GATHER_S, AT_ONCE = 0.035, 6

#: How often what is read `seldom` is asked for under load, seconds.
SELDOM_S = 1.0


class Pace:
    """Under load a broker is asked every `GATHER_S` and no more often, and for topics that are `seldom` once a second.

    Every fetch asks for every partition, some 40 µs of work here and there for each, and mostly brings a record or
    two, which then lead to a transaction of their own: so a busy hub would spend itself on asking. After a pause a
    broker is asked a few times at once, as one event on its way through the stages needs. Where a fetch waits for
    topics that are read seldom, every record that comes in them has Kafka look at all the others again.
    """

    def __init__(self, seldom: Set[str]) -> None:
        self._seldom = seldom
        self._due: dict[int, float] = {}
        self._asked_for_all: dict[int, float] = defaultdict(lambda: -SELDOM_S)

    def next(self, node: int, topics: list[tuple[str, P]], now: float) -> tuple[float, list[tuple[str, P]]]:
        """In how many seconds to ask the broker `node`, and for which of `topics`, one at least if there are any."""
        due = max(self._due.get(node, 0.0), now - AT_ONCE * GATHER_S)
        self._due[node] = due + GATHER_S
        busy = due > now
        hurried = [one for one in topics if one[0] not in self._seldom]
        if hurried and busy and now < self._asked_for_all[node] + SELDOM_S:
            return due - now, hurried
        self._asked_for_all[node] = now
        return max(due - now, 0.0), topics
