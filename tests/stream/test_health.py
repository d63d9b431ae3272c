"""What the watchdog holds against a worker, and what not: observations in, verdicts out, by table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from hub.stream.health import MOST_PATIENCE, Judge, Limits, PollerSeen, Seen, StageSeen, patience_after
from hub.stream.lag import Lags, Reach

LIMITS = Limits(stuck_s=10, behind_s=10, rebalances=6)
WELL = Seen(at=0, generation=1, member="m")
PLACE = ("events.payments", 0)

#: What is found of a worker at each second from 0 on.
Course = Callable[[int], Seen]


def stage(moves: int = 0, position: int = 0, end: int = 0, **more: object) -> dict[str, StageSeen]:
    return {"route": StageSeen(moves, places={PLACE: Reach(position, end)}, **more)}  # type: ignore[arg-type]


def verdicts(course: Course, seconds: int, limits: Limits = LIMITS) -> Iterator[tuple[int, str, str, bool]]:
    """Second, part, kind and cure of each verdict, as they come."""
    judge = Judge(limits)
    for at in range(seconds):
        for verdict in judge.judge(replace(course(at), at=float(at))):
            yield at, verdict.part, verdict.kind, verdict.cure


def first(
    course: Course, seconds: int, *, cure: bool, limits: Limits = LIMITS
) -> tuple[int, str, str] | None:
    """When which part is first found to be how, with or without a cure."""
    found = (one[:3] for one in verdicts(course, seconds, limits) if one[3] == cure)
    return next(found, None)


ILL: dict[str, tuple[Course, int, tuple[str, str]]] = {
    "an agent that is alive and hands nothing on": (
        lambda at: replace(WELL, stages=stage(moves=7, position=5, end=9)),
        11,
        ("route", "stuck"),
    ),
    "a commit of retries that never ends": (
        lambda at: replace(WELL, stages=stage(moves=7, position=9, end=9, at_work=1)),
        11,
        ("route", "stuck"),
    ),
    "work that stops in the middle of a backlog": (
        lambda at: replace(WELL, stages=stage(moves=min(at, 20), position=min(at, 20), end=1000)),
        31,
        ("route", "stuck"),
    ),
    "one partition that is left aside": (
        lambda at: replace(WELL, stages=stage(moves=at, position=5, end=9)),
        61,
        ("route events.payments/0", "stuck"),
    ),
    "an event loop that does not turn": (
        lambda at: replace(WELL, turned=float(at)),
        11,
        ("worker", "blocked"),
    ),
    "partitions that never come": (
        lambda at: replace(WELL, settled=False),
        31,
        ("group", "unsettled"),
    ),
    "a worker that the group throws out again and again": (
        lambda at: replace(WELL, member=str(at // 5)),
        15,
        ("group", "thrown-out"),
    ),
    "a poll that is past its time and cannot be cut off": (
        lambda at: replace(WELL, pollers={"pay/payments": PollerSeen(through_by=20)}),
        31,
        ("poll pay/payments", "overdue"),
    ),
    "a thread that ended": (
        lambda at: replace(WELL, broken=["subscriptions"] if at >= 3 else []),
        3,
        ("subscriptions", "ended"),
    ),
}


@pytest.mark.parametrize("what", ILL)
def test_is_healed_by_a_restart_within_seconds(what: str) -> None:
    course, second, (part, kind) = ILL[what]
    assert first(course, 120, cure=True) == (second, part, kind)


AT_ONCE = {"a thread that ended", "a worker that the group throws out again and again"}


@pytest.mark.parametrize("what", sorted(ILL.keys() - AT_ONCE))
def test_is_told_before_it_is_healed(what: str) -> None:
    course, second, _ = ILL[what]
    told = first(course, 120, cure=False)
    assert told is not None
    assert told[0] < second


def test_partitions_that_wait_in_order_behind_what_takes_minutes_are_not_left_aside() -> None:
    def course(at: int) -> Seen:
        return replace(WELL, stages=stage(moves=at, position=5 + at // 400, end=999, held=[PLACE]))

    assert not [one for one in verdicts(course, 1_000) if one[3] or one[2] == "stuck"]


TOLD: dict[str, tuple[Course, tuple[str, str]]] = {
    "partitions that are dealt anew all the time": (
        lambda at: replace(WELL, generation=at // 5),
        ("group", "storm"),
    ),
    "a stage that works and does not keep up": (
        lambda at: replace(WELL, stages=stage(moves=at, position=at, end=100 * (at + 1))),
        ("route", "behind"),
    ),
    "a journal whose database is locked": (
        lambda at: replace(WELL, stages=stage(moves=3, position=3, end=9, waits_for="the journal is locked")),
        ("route", "waits"),
    ),
    "a poller that was refused": (
        lambda at: replace(WELL, pollers={"pay/payments": PollerSeen("401 Unauthorized", halted=True)}),
        ("poll pay/payments", "halted"),
    ),
    "a poller whose system is away": (
        lambda at: replace(WELL, pollers={"pay/payments": PollerSeen("ConnectError", through_by=at + 60)}),
        ("poll pay/payments", "failing"),
    ),
    "Kafka away": (
        lambda at: replace(WELL, kafka=False, stages=stage(moves=3, position=3, end=9)),
        ("kafka", "away"),
    ),
}


@pytest.mark.parametrize("what", TOLD)
def test_is_told_and_left_alone_since_no_restart_mends_it(what: str) -> None:
    course, (part, kind) = TOLD[what]
    found = list(verdicts(course, 120))
    assert (part, kind) in {one[1:3] for one in found}
    assert not [one for one in found if one[3]]


WELL_ALL_ALONG: dict[str, Course] = {
    "an idle worker": lambda at: replace(WELL, stages=stage(moves=3, position=9, end=9)),
    "a busy worker that keeps up": lambda at: replace(
        WELL, stages=stage(moves=at, position=100 * at, end=100 * (at + 1))
    ),
    "a batch that takes five seconds": lambda at: replace(
        WELL, stages=stage(moves=at // 5, position=100 * (at // 5), end=100 * (at // 5 + 1))
    ),
    "five minutes between polls": lambda at: replace(
        WELL, pollers={"pay/payments": PollerSeen(through_by=(at // 300 + 1) * 300 + 60)}
    ),
    "a rebalance every fifteen seconds": lambda at: replace(WELL, generation=at // 15, settled=at % 15 > 1),
}


@pytest.mark.parametrize("what", WELL_ALL_ALONG)
def test_is_not_held_against_a_worker(what: str) -> None:
    assert [one for one in verdicts(WELL_ALL_ALONG[what], 600) if one[2] != "behind"] == []


def test_the_time_that_kafka_is_away_counts_against_no_stage_and_no_poller() -> None:
    def course(at: int) -> Seen:
        away = 5 <= at < 120
        found = stage(moves=3, position=3, end=9) if at < 135 else stage(moves=4, position=9, end=9)
        pollers = {"pay/payments": PollerSeen(through_by=30 if at < 135 else 300)}
        return replace(WELL, kafka=not away, stages=found, pollers=pollers)

    assert first(course, 200, cure=True) is None


def test_patience_puts_off_the_cure_and_not_the_telling() -> None:
    course = ILL["a commit of retries that never ends"][0]
    patient = replace(LIMITS, patience=4)
    assert first(course, 120, cure=True, limits=patient) == (41, "route", "stuck")
    assert first(course, 120, cure=False, limits=patient) == (6, "route", "stuck")


@pytest.mark.parametrize(
    ("ago", "patience"),
    [
        ([], 1),
        ([30], 2),
        ([90, 30], 4),
        ([5_000, 30], 2),
        ([3_600], 1),
        ([20 * n for n in range(20, 0, -1)], MOST_PATIENCE),
    ],
)
def test_each_restart_that_follows_another_soon_makes_it_more_patient(
    ago: list[float], patience: int
) -> None:
    now = 10_000.0
    assert patience_after([now - one for one in ago], now) == patience


def test_the_lag_in_seconds_is_the_age_of_what_waits_longest_and_not_of_the_backlog() -> None:
    """100 records a second come in for a minute, and from the tenth second on 50 a second are done."""
    lags = Lags()
    for at in range(60):
        end, done = 100 * (at + 1), 50 * max(0, at - 10)
        lag = lags.of({PLACE: Reach(done, end)}, float(at))
        came = max(0, (done - 99) // 100)  # the second in which the oldest that waits was written
        assert abs(lag.seconds - (at - came)) <= 2, at
        assert lag.records == end - done
    assert 45 < lag.trend < 55
    assert lag.worst == (("events.payments/0", 6_000 - 50 * 49),)


def test_a_partition_that_is_taken_away_is_forgotten() -> None:
    lags = Lags()
    lags.of({PLACE: Reach(0, 9)}, 0.0)
    assert lags.of({}, 60.0).seconds == 0
    assert lags.of({PLACE: Reach(0, 9)}, 61.0).seconds == 0
