"""A broker is asked at once while there is little to do, and seldom enough while there is much."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hub.stream.pace import AT_ONCE, GATHER_S, SELDOM_S, Pace

RAW, EVENTS = ("raw.pay", [0, 1]), ("events.payments", [0])


def asked(pace: Pace, seconds: float, topics: list[tuple[str, list[int]]]) -> list[tuple[float, list[str]]]:
    """When a broker whose answers come at once is asked within so many seconds, and for which topics."""
    now, found = 100.0, []
    while now < 100.0 + seconds:
        wait, chosen = pace.next(1, topics, now)
        now += wait
        found.append((now, [name for name, _ in chosen]))
    return found


def test_after_a_pause_a_broker_is_asked_a_few_times_at_once_and_for_all() -> None:
    first = asked(Pace(frozenset({"events.payments"})), GATHER_S / 2, [RAW, EVENTS])[:AT_ONCE]
    assert first == [(100.0, ["raw.pay", "events.payments"])] * AT_ONCE


def test_under_load_it_is_asked_no_more_often_than_the_pace() -> None:
    times = [at for at, _ in asked(Pace(frozenset()), 5.0, [RAW, EVENTS])][AT_ONCE + 1 :]
    assert [after - before for before, after in pairwise(times)] == pytest.approx(
        [GATHER_S] * (len(times) - 1)
    )


def test_under_load_what_is_read_seldom_is_asked_for_once_a_second_and_all_else_every_time() -> None:
    found = asked(Pace(frozenset({"events.payments"})), 10.0, [RAW, EVENTS])[AT_ONCE + 1 :]
    assert all("raw.pay" in names for _, names in found)
    times = [at for at, names in found if "events.payments" in names]
    gaps = [after - before for before, after in pairwise(times)]
    assert len(times) >= 9
    assert max(gaps) <= SELDOM_S + 2 * GATHER_S


def test_what_is_read_seldom_is_asked_for_every_time_where_there_is_nothing_else() -> None:
    pace = Pace(frozenset({"events.payments"}))
    assert all(names == ["events.payments"] for _, names in asked(pace, 3.0, [EVENTS]))


def test_one_broker_under_load_says_nothing_of_another() -> None:
    pace = Pace(frozenset({"events.payments"}))
    asked(pace, 3.0, [RAW, EVENTS])
    assert pace.next(2, [RAW, EVENTS], 103.0) == (0.0, [RAW, EVENTS])
