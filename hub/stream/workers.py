"""What workers say of themselves, in `hub.workers`: one record per worker and second, keyed by its name.

A worker that cannot reach Kafka, or hangs whole, is seen by its silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from time import monotonic, time

import msgspec
import structlog

from hub.stream import topics
from hub.stream.following import Follower
from hub.stream.health import Verdict
from hub.stream.roles import Role, stages_in

log = structlog.get_logger()

BEAT_S = 1.0
"""How often a worker says how it is."""

SILENT_S = 4.0
_UNHELD_S = 20.0
_FORGOTTEN_S = 3_600.0


class StageReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A stage of one worker. Times in seconds, `trend` in records per second; see `hub.stream.lag.Lag`."""

    partitions: int = 0
    lag: int = 0
    lag_s: float = 0.0
    trend: float = 0.0
    worst: tuple[tuple[str, int], ...] = ()
    waiting: int = 0
    """Batches in hand."""
    still_s: float = 0.0
    """Since anything was done although something waits."""
    committed_ago: float | None = None


class PollerReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A poller of one worker. Times in epoch seconds, 0 for never; `error` in the system's own words."""

    good_at: float = 0.0
    next_at: float = 0.0
    failing_since: float = 0.0
    error: str = ""
    halted: bool = False


class Restart(msgspec.Struct, frozen=True):
    """The watchdog ended a worker: when (epoch seconds), for which part, and why."""

    at: float
    part: str
    kind: str


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One worker at one time. `state` is joining, running or restarting; times in epoch seconds.

    `restarts` are the last ones of this name, which its next holder takes over.
    """

    worker: str
    pid: int
    at: float
    started: float
    state: str = "running"
    generation: int = 0
    rebalances: int = 0
    partitions: tuple[int, ...] = ()
    stages: dict[str, StageReport] = {}
    pollers: dict[str, PollerReport] = {}
    verdicts: list[Verdict] = []
    restarts: list[Restart] = []


@dataclass(frozen=True, slots=True)
class Heard:
    """A report, and how many seconds ago it was heard."""

    report: Report
    ago: float


class Workers(Follower):
    """A read model that follows `hub.workers`; safe from any thread."""

    topic = topics.WORKERS

    def __init__(self) -> None:
        self._heard: dict[str, tuple[Report, float]] = {}
        self._lock = Lock()
        self._unheld_since: float | None = None

    def change(self, key: str, value: bytes | None) -> None:
        """Take in one record of the topic."""
        try:
            report = None if value is None else msgspec.json.decode(value, type=Report)
        except msgspec.MsgspecError:
            log.warning("report-unreadable", worker=key)  # of another version
            return
        # What was there before we came may be old, by the clock of whoever wrote it.
        age = 0.0 if self.known or report is None else max(0.0, time() - report.at)
        with self._lock:
            if report is None:
                self._heard.pop(key, None)
            else:
                self._heard[key] = (report, monotonic() - age)

    def all(self) -> list[Heard]:
        """Every worker that was heard within the last hour, by name."""
        now = monotonic()
        with self._lock:
            heard = [Heard(report, now - at) for report, at in self._heard.values()]
        return sorted((one for one in heard if one.ago < _FORGOTTEN_S), key=lambda one: one.report.worker)

    def verdicts(self, partitions: int) -> list[tuple[str, Verdict]]:
        """What is wrong, each with its worker, or none where it is the workers as a whole."""
        heard = self.all()
        if partitions <= len(held(heard)):
            self._unheld_since = None
        elif self._unheld_since is None:
            self._unheld_since = monotonic()
        unheld_s = 0.0 if self._unheld_since is None else monotonic() - self._unheld_since
        return list(judged(heard, partitions, unheld_s))


def held(heard: Iterable[Heard]) -> set[int]:
    """The partitions that living workers hold in every stage: some may do other stages than others."""
    of: dict[str, set[int]] = {stage: set() for stage in stages_in(Role) - {"poll"}}
    for one in heard:
        if one.ago < SILENT_S:
            for stage in one.report.stages.keys() & of.keys():
                of[stage].update(one.report.partitions)
    return set.intersection(*of.values())


def judged(heard: list[Heard], partitions: int, unheld_s: float) -> Iterator[tuple[str, Verdict]]:
    """What the reports say, what their silence says, and whether each of `partitions` is held by somebody."""
    alive = [one for one in heard if one.ago < SILENT_S]
    for one in heard:
        name = one.report.worker
        if one not in alive:
            told = f"it has not been heard for {one.ago:.0f} s"
            yield name, Verdict(part="worker", kind="silent", told=told)
        else:
            yield from ((name, verdict) for verdict in one.report.verdicts)
    if not alive:
        told = "no worker is heard; what is accepted waits in Kafka"
        yield "", Verdict(part="workers", kind="none", told=told)
    elif unheld_s > _UNHELD_S:
        missing = sorted(set(range(partitions)) - held(heard))
        told = f"partitions {', '.join(map(str, missing))} are with no worker for {unheld_s:.0f} s"
        yield "", Verdict(part="workers", kind="unheld", told=told)


def stages_of(heard: Iterable[Heard]) -> Mapping[str, StageReport]:
    """Each stage over all living workers: what waits is added up, times are the longest."""
    found: dict[str, list[StageReport]] = {}
    for one in heard:
        if one.ago < SILENT_S:
            for name, stage in one.report.stages.items():
                found.setdefault(name, []).append(stage)
    return {name: _together(stages) for name, stages in found.items()}


def _together(stages: list[StageReport]) -> StageReport:
    commits = [one.committed_ago for one in stages if one.committed_ago is not None]
    return StageReport(
        partitions=sum(one.partitions for one in stages),
        lag=sum(one.lag for one in stages),
        lag_s=max(one.lag_s for one in stages),
        trend=sum(one.trend for one in stages),
        worst=tuple(sorted((place for one in stages for place in one.worst), key=lambda it: -it[1])[:3]),
        waiting=sum(one.waiting for one in stages),
        still_s=max(one.still_s for one in stages),
        committed_ago=min(commits, default=None),
    )
