"""Watches a worker from a thread of its own, says in `hub.workers` how it is, and ends it where that is the cure.

The thread depends on nothing that it watches: not on the event loop, not on Faust's consumer, not on a stage's
producer. Whoever started the process starts it anew (`hub up`, or the cluster's own means).
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Event, Thread
from time import monotonic, time
from typing import NoReturn

import msgspec
import structlog
from confluent_kafka import IsolationLevel, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from hub.stream import topics
from hub.stream.client import reaching
from hub.stream.health import Judge, Limits, PollerSeen, Seen, StageSeen, Verdict, patience_after
from hub.stream.instances import Health
from hub.stream.lag import Lag, Reach
from hub.stream.progress import Progress
from hub.stream.reading import read_all
from hub.stream.records import NOBODY, Fence, Place, Positions
from hub.stream.turning import Turning
from hub.stream.workers import BEAT_S, PollerReport, Report, Restart, StageReport

log = structlog.get_logger()

RESTART = 75
"""The exit status of a worker that its watchdog ended."""

_ASK_S = 2.0
"""How long to wait for Kafka to say where its logs end."""

_SPARING = 10
"""Asking takes no more than one part in so many of the time."""

_REMEMBERED = 10


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched, each by a call or object that may be used from any thread."""

    loop: asyncio.AbstractEventLoop
    membership: Callable[[], tuple[Fence, Positions]]
    """Who we are in the group, and where its partitions stood when they were assigned; NOBODY between two."""
    stages: Mapping[str, Progress]
    stage_of: Mapping[str, str]
    """Which stage feeds from a topic."""
    pollers: Callable[[], Mapping[str, Health]]
    broken: Callable[[], Sequence[str]]
    leave: Callable[[], None]
    """Leave the group, so that others need not wait until we are missed. May block for a moment."""


class Watchdog:
    """One worker's. `name` is the worker's; `limits` without patience, which is what came before decides."""

    def __init__(self, name: str, servers: str, limits: Limits) -> None:
        self._name = name
        self._servers = servers
        self._limits = limits
        self._client = AdminClient(reaching(servers))
        self._producer = Producer(
            {
                **reaching(servers),
                "message.timeout.ms": 3_000,  # the next one says the same, and newer
                "linger.ms": 0,
            }
        )
        self._started = time()
        self._stopping = Event()
        self._thread: Thread | None = None
        self._restarts: list[Restart] = []

    def start(self, watched: Watched) -> None:
        """Start watching. Blocks while it reads what came before; Kafka being away is no matter."""
        self._restarts = self._before()
        patience = patience_after([one.at for one in self._restarts], time())
        judge = Judge(Limits(self._limits.stuck_s, self._limits.behind_s, self._limits.rebalances, patience))
        self._thread = Thread(target=self._watch, args=(watched, judge), name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The worker ends in order: nobody need miss it."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(_ASK_S)
        self._producer.produce(topics.WORKERS, None, self._name.encode(), partition=0)
        self._producer.flush(1)

    def _before(self) -> list[Restart]:
        found: list[Restart] = []
        with suppress(KafkaException):
            for message in read_all(self._servers, topics.WORKERS, 0):
                if message.key() == self._name.encode() and message.value():
                    with suppress(msgspec.MsgspecError):
                        found = msgspec.json.decode(message.value(), type=Report).restarts
        return found[-_REMEMBERED:]

    def _watch(self, watched: Watched, judge: Judge) -> None:
        asked, wait = 0.0, BEAT_S
        ends: Positions | None = {}
        turning = Turning(watched.loop)
        while not self._stopping.wait(BEAT_S):
            try:
                fence, positions = watched.membership()
                if monotonic() - asked >= wait:
                    asked = monotonic()
                    ends = self._ends(positions)
                    wait = _SPARING * (monotonic() - asked)
                seen = _seen(watched, fence, positions, ends, turning.late())
                verdicts = judge.judge(seen)
                report = self._report(watched, seen, positions, judge, verdicts)
                self._say(report)
            except Exception:
                log.exception("watchdog-failed")  # a fault of ours must not end the watch
                continue
            if verdicts and verdicts[0].cure:
                self._restart(watched, report, verdicts[0])

    def _ends(self, places: Positions) -> Positions | None:
        """Where the logs end, as far as transactions are over; None while Kafka does not say."""
        if not places:
            return {} if self._answers() else None
        asked = {TopicPartition(*place): OffsetSpec.latest() for place in places}
        try:
            answers = self._client.list_offsets(
                asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_ASK_S
            )
        except KafkaException:
            return None
        ends: Positions = {}
        for at, answer in answers.items():
            with suppress(KafkaException, TimeoutError):  # one broker of several may be away
                ends[at.topic, at.partition] = answer.result(_ASK_S).offset
        return ends or None

    def _answers(self) -> bool:
        try:
            self._client.list_topics(topics.WORKERS, timeout=_ASK_S)
        except KafkaException:
            return False
        return True

    def _report(
        self, watched: Watched, seen: Seen, positions: Positions, judge: Judge, verdicts: list[Verdict]
    ) -> Report:
        return Report(
            worker=self._name,
            pid=os.getpid(),
            at=time(),
            started=self._started,
            state="running" if seen.settled else "joining",
            generation=seen.generation,
            rebalances=judge.rebalances,
            partitions=tuple(sorted({part for _, part in positions})) if seen.settled else (),
            stages={
                name: _stage_report(stage, seen.stages[name], judge) for name, stage in watched.stages.items()
            },
            pollers={
                name: PollerReport(
                    good_at=health.good_at,
                    next_at=health.next_at,
                    failing_since=health.failing_since,
                    error=health.error,
                    halted=health.halted,
                )
                for name, health in watched.pollers().items()
            },
            verdicts=verdicts,
            restarts=self._restarts[-_REMEMBERED:],
        )

    def _say(self, report: Report) -> None:
        with suppress(BufferError, KafkaException):  # they are without number while Kafka is away
            self._producer.produce(
                topics.WORKERS, msgspec.json.encode(report), self._name.encode(), partition=0
            )
        self._producer.poll(0)

    def _restart(self, watched: Watched, report: Report, why: Verdict) -> NoReturn:
        log.error("worker-restarts", worker=self._name, part=why.part, kind=why.kind, reason=why.told)
        faulthandler.dump_traceback(all_threads=True)
        restarts = [*self._restarts, Restart(time(), why.part, why.kind)]
        self._say(msgspec.structs.replace(report, state="restarting", restarts=restarts))
        self._producer.flush(1)
        leaving = Thread(target=watched.leave, daemon=True)
        leaving.start()
        leaving.join(1)
        os._exit(RESTART)


def _seen(watched: Watched, fence: Fence, positions: Positions, ends: Positions | None, late: float) -> Seen:
    settled = fence != NOBODY
    stages = {
        name: StageSeen(
            stage.moves,
            stage.at_work,
            stage.waits_for,
            _reached(stage, positions, ends, watched.stage_of) if settled and ends else {},
            frozenset(place for place in positions if stage.holds(place)),
        )
        for name, stage in watched.stages.items()
    }
    pollers = {
        name: PollerSeen(health.error, health.halted, health.through_by)
        for name, health in watched.pollers().items()
    }
    return Seen(
        at=monotonic(),
        kafka=ends is not None,
        turned=late,
        settled=settled,
        generation=fence.generation,
        member=fence.member_id,
        stages=stages,
        pollers=pollers,
        broken=watched.broken(),
    )


def _reached(
    stage: Progress, assigned: Positions, ends: Positions, stage_of: Mapping[str, str]
) -> dict[Place, Reach]:
    return {
        place: Reach(max(position, stage.positions.get(place, 0)), ends[place])
        for place, position in assigned.items()
        if stage_of.get(place[0]) == stage.name and place in ends
    }


def _stage_report(stage: Progress, seen: StageSeen, judge: Judge) -> StageReport:
    lag = judge.lags.get(stage.name, Lag())
    return StageReport(
        partitions=len(seen.places),
        lag=lag.records,
        lag_s=round(lag.seconds, 1),
        trend=round(lag.trend, 1),
        worst=lag.worst,
        waiting=stage.waiting(),
        still_s=round(judge.still.get(stage.name, 0.0), 1),
        committed_ago=round(monotonic() - stage.committed_at, 1) if stage.committed_at else None,
    )
