"""How far a stage is behind the end of its topics: in records, in seconds, and whether it gains or loses."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.stream.records import Place

_KEPT = 60
"""Ends remembered per partition that lags; every second one is forgotten when they are more."""

_TREND_OVER = 20.0
"""Seconds that a trend is taken over."""

_WORST = 3


@dataclass(frozen=True, slots=True)
class Reach:
    """One partition as a stage holds it: the offsets of what it does next, and of the record that comes next."""

    position: int
    end: int

    @property
    def lag(self) -> int:
        """Records that wait or are in hand; markers of transactions among them count too."""
        return max(0, self.end - self.position)


@dataclass(frozen=True, slots=True)
class Lag:
    """Of a stage. `seconds`: for how long the oldest has waited, at least; `trend`: records more per second."""

    records: int = 0
    seconds: float = 0.0
    trend: float = 0.0
    worst: tuple[tuple[str, int], ...] = ()
    """The partitions that are furthest behind, `topic/partition`, with their lag."""


@dataclass(slots=True)
class Lags:
    """What is remembered of a stage to tell its lag in seconds, and its trend. Times are of one clock, in seconds."""

    _ends: dict[Place, deque[tuple[float, int]]] = field(default_factory=dict)
    _totals: deque[tuple[float, int]] = field(default_factory=deque)

    def of(self, places: Mapping[Place, Reach], now: float) -> Lag:
        """The lag of a stage that holds `places`. Called in the order of time."""
        self._ends = {key: ends for key, ends in self._ends.items() if key in places}
        behind = {key: place.lag for key, place in places.items() if place.lag}
        seconds = 0.0
        for key, place in places.items():
            ends = self._ends.setdefault(key, deque())
            if key not in behind:
                ends.clear()
            elif ends and ends[0][1] < place.position:
                _forget(ends, place.position)
            ends.append((now, place.end))
            if len(ends) > _KEPT:
                self._ends[key] = deque(list(ends)[::2])
            seconds = max(seconds, now - ends[0][0])
        total = sum(behind.values())
        worst = sorted(behind.items(), key=lambda one: (-one[1], one[0]))[:_WORST]
        named = tuple((f"{topic}/{partition}", lag) for (topic, partition), lag in worst)
        return Lag(total, seconds, self._trend(total, now), named)

    def _trend(self, total: int, now: float) -> float:
        totals = self._totals
        totals.append((now, total))
        while totals[0][0] < now - _TREND_OVER:
            totals.popleft()
        then, before = totals[0]
        return (total - before) / (now - then) if now > then else 0.0


def _forget(ends: deque[tuple[float, int]], position: int) -> None:
    """All but the last time at which the end was not yet past `position`: what waits now came after that."""
    while len(ends) > 1 and ends[1][1] <= position:
        ends.popleft()
