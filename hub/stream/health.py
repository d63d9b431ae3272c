"""Is a worker well? Observations in, verdicts out; no clock of its own, no I/O.

A verdict with a cure is acted on by `hub.stream.watchdog`: the worker's process ends and is started anew. What a
restart would not mend, such as a database that is locked or a system that refuses us, is told and left alone.
While Kafka does not answer, nothing is held against a stage: standing still is right then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TypeVar

import msgspec

from hub.stream.lag import Lag, Lags, Reach
from hub.stream.records import Place

T = TypeVar("T")

_MINUTE = 60.0
_SLOW_PARTITION = 6
"""A stage that moves may leave one partition aside for so many times as long before that is taken for a fault."""

_GRACE_AFTER_AWAY = 20.0
"""Seconds that clients may take to find Kafka again; their own pauses and time limits are shorter together."""

_THROWN_OUT = 3
"""Memberships lost within a minute, from which on it is this worker that disturbs the group."""

MOST_PATIENCE = 32


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong with which part. `told` is for a person; `cure` is whether a restart of the worker is one."""

    part: str
    kind: str
    told: str
    cure: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on something is wrong; see `watchdog` in `hub.config`. Seconds, and generations per minute.

    `patience` multiplies the time after which a restart is the cure: it doubles with each one, so that a batch
    that takes long, but comes to its end, is not begun for ever.
    """

    stuck_s: float = 10.0
    behind_s: float = 10.0
    rebalances: int = 6
    patience: int = 1


@dataclass(frozen=True, slots=True)
class StageSeen:
    """A stage as found. `moves` grows with all that it does; `at_work` is work that no position stands for; `held` are
    the partitions whose turn will come, since what was read of them waits in order."""

    moves: int
    at_work: int = 0
    waits_for: str = ""
    places: Mapping[Place, Reach] = field(default_factory=dict)
    held: Collection[Place] = ()


@dataclass(frozen=True, slots=True)
class PollerSeen:
    """A poller as found. By `through_by` its poll should be over, and the next one not yet due."""

    error: str = ""
    halted: bool = False
    through_by: float = inf


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker as found at `at` (seconds of any one clock).

    `turned` is how long ago its event loop last turned, `settled` whether it has its partitions, `broken` the
    names of threads that ended and should not have.
    """

    at: float
    kafka: bool = True
    turned: float = 0.0
    settled: bool = True
    generation: int = 0
    member: str = ""
    stages: Mapping[str, StageSeen] = field(default_factory=dict)
    pollers: Mapping[str, PollerSeen] = field(default_factory=dict)
    broken: Sequence[str] = ()


class Judge:
    """Judges one worker, observation by observation.

    `lags` and `still`, by stage, are what the last one showed: how far behind, and how many seconds since anything
    was done although something waits.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._standing: dict[Hashable, tuple[object, float]] = {}
        self._away_until = 0.0
        self._generations: deque[tuple[float, int]] = deque()
        self._members: deque[tuple[float, str]] = deque()
        self._meters: dict[str, Lags] = {}
        self.lags: dict[str, Lag] = {}
        self.still: dict[str, float] = {}

    @property
    def rebalances(self) -> int:
        """Generations of the group that began within the last minute, as far as this worker was in them."""
        return max(0, len(self._generations) - 1)

    def judge(self, seen: Seen) -> list[Verdict]:
        """What is wrong, the curable first."""
        found = [*self._process(seen)]
        if found:
            return found  # which is why all else stands
        if seen.kafka:
            found += [*self._group(seen), *self._stages(seen), *self._pollers(seen)]
        else:
            self._standing.clear()
            self._away_until = seen.at + _GRACE_AFTER_AWAY
            found.append(Verdict(part="kafka", kind="away", told="Kafka does not answer this worker"))
        return sorted(found, key=lambda verdict: not verdict.cure)

    def _process(self, seen: Seen) -> Iterator[Verdict]:
        if seen.turned > self._limits.stuck_s / 2:
            yield self._stuck("worker", "blocked", seen.turned, "its event loop has not turned")
        for name in seen.broken:
            yield Verdict(part=name, kind="ended", told=f"its thread {name} has ended", cure=True)

    def _group(self, seen: Seen) -> Iterator[Verdict]:
        if seen.member:
            _note(self._generations, seen.at, seen.generation)
            _note(self._members, seen.at, seen.member)
        unsettled = self._for("settled", None, not seen.settled, seen.at)
        if unsettled > 1.5 * self._limits.stuck_s:
            cure = unsettled > 3 * self._limits.stuck_s * self._limits.patience
            told = f"it has waited for its partitions for {unsettled:.0f} s"
            yield Verdict(part="group", kind="unsettled", told=told, cure=cure)
        if len(self._members) > _THROWN_OUT:
            told = f"the group threw it out {len(self._members) - 1} times within a minute"
            yield Verdict(part="group", kind="thrown-out", told=told, cure=True)
        elif self.rebalances > self._limits.rebalances:
            told = f"partitions were dealt anew {self.rebalances} times within a minute"
            yield Verdict(part="group", kind="storm", told=told)

    def _stages(self, seen: Seen) -> Iterator[Verdict]:
        self.lags = {
            name: self._meters.setdefault(name, Lags()).of(stage.places, seen.at)
            for name, stage in seen.stages.items()
        }
        self.still = {
            name: self._for(name, stage.moves, bool(stage.at_work or self.lags[name].records), seen.at)
            for name, stage in seen.stages.items()
        }
        for name, still in sorted(self.still.items(), key=lambda one: -one[1]):  # the first to stand first
            stage, lag = seen.stages[name], self.lags[name]
            if stage.waits_for:
                yield Verdict(part=name, kind="waits", told=f"it waits: {stage.waits_for}")
            elif still > self._limits.stuck_s / 2:
                yield self._stuck(name, "stuck", still, f"{_records(lag)} and it has done nothing")
            else:
                yield from self._aside(name, stage, seen.at)
            if lag.seconds > self._limits.behind_s:
                yield Verdict(part=name, kind="behind", told=f"{_records(lag)}, {_course(lag)}")

    def _aside(self, name: str, stage: StageSeen, now: float) -> Iterator[Verdict]:
        """Partitions that stand still while others of their stage move."""
        limit = _SLOW_PARTITION * self._limits.stuck_s
        for place, found in stage.places.items():
            still = self._for((name, place), found.position, bool(found.lag) and place not in stage.held, now)
            if still > limit:
                where = f"{name} {place[0]}/{place[1]}"
                told = f"{found.lag} records wait and none was done for {still:.0f} s"
                yield Verdict(part=where, kind="stuck", told=told, cure=still > limit * self._limits.patience)

    def _pollers(self, seen: Seen) -> Iterator[Verdict]:
        for name, poller in seen.pollers.items():
            part = f"poll {name}"
            overdue = seen.at - max(poller.through_by, self._away_until)
            if poller.halted:
                yield Verdict(part=part, kind="halted", told=poller.error)
            elif overdue > self._limits.stuck_s / 2:
                yield self._stuck(part, "overdue", overdue, "its poll should have been over")
            elif poller.error:
                yield Verdict(part=part, kind="failing", told=poller.error)

    def _stuck(self, part: str, kind: str, seconds: float, told: str) -> Verdict:
        cure = seconds > self._limits.stuck_s * self._limits.patience
        return Verdict(part=part, kind=kind, told=f"{told} for {seconds:.0f} s", cure=cure)

    def _for(self, key: Hashable, mark: object, busy: bool, now: float) -> float:
        """For how long `mark` has been the same although `busy`."""
        before = self._standing.get(key)
        if not busy:
            self._standing.pop(key, None)
        elif before is None or before[0] != mark:
            self._standing[key] = (mark, max(now, self._away_until))
        return max(0.0, now - self._standing[key][1]) if busy else 0.0


def patience_after(restarts: Sequence[float], now: float) -> int:
    """How patient to be, given when the watchdog restarted this worker before (epoch seconds, oldest first).

    Doubled by each that followed another sooner than a well worker would last.
    """
    patience, before = 1, now
    for at in reversed(restarts):
        if before - at > 10 * _MINUTE or patience >= MOST_PATIENCE:
            break
        patience, before = patience * 2, at
    return patience


def _note(history: deque[tuple[float, T]], at: float, what: T) -> None:
    """Keep what changed within the last minute, and what was before."""
    if not history or history[-1][1] != what:
        history.append((at, what))
    while len(history) > 1 and history[1][0] < at - _MINUTE:
        history.popleft()


def _records(lag: Lag) -> str:
    return f"{lag.records} records wait, the oldest for {lag.seconds:.0f} s or more,"


def _course(lag: Lag) -> str:
    if lag.trend >= 0:
        return f"{lag.trend:.0f} more each second"
    return f"caught up in about {lag.records / -lag.trend:.0f} s"
