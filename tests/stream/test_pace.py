"""A broker is asked at once while there is little to do, and seldom enough while there is much."""

from __future__ import annotations

import asyncio
import threading
from itertools import pairwise

import pytest

from hub.stream import pace as paces
from hub.stream.pace import AT_ONCE, BUSY_S, GATHER_S, GATHERED_S, SELDOM_S, Occupied, Pace

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
    first = asked(Pace(frozenset({"events.payments"}), GATHER_S), GATHER_S / 2, [RAW, EVENTS])[:AT_ONCE]
    assert first == [(100.0, ["raw.pay", "events.payments"])] * AT_ONCE


def test_under_load_it_is_asked_no_more_often_than_the_pace() -> None:
    times = [at for at, _ in asked(Pace(frozenset(), GATHER_S), 5.0, [RAW, EVENTS])][AT_ONCE + 1 :]
    assert [after - before for before, after in pairwise(times)] == pytest.approx(
        [GATHER_S] * (len(times) - 1)
    )


def test_under_load_what_is_read_seldom_is_asked_for_once_a_second_and_all_else_every_time() -> None:
    found = asked(Pace(frozenset({"events.payments"}), GATHER_S), 10.0, [RAW, EVENTS])[AT_ONCE + 1 :]
    assert all("raw.pay" in names for _, names in found)
    times = [at for at, names in found if "events.payments" in names]
    gaps = [after - before for before, after in pairwise(times)]
    assert len(times) >= 9
    assert max(gaps) <= SELDOM_S + 2 * GATHER_S


def test_what_is_read_seldom_is_so_under_any_load_and_a_moment_after_it_no_longer() -> None:
    pace = Pace(frozenset({"events.payments"}), GATHERED_S)
    asked_for_all = []
    for number in range(250):  # as often as transactions come, which is less often than it might be asked
        wait, topics = pace.next(1, [RAW, EVENTS], 100.0 + 0.04 * number)
        assert wait == 0.0
        if EVENTS in topics:
            asked_for_all.append(100.0 + 0.04 * number)
    gaps = [after - before for before, after in pairwise(asked_for_all) if before >= 102.0]
    assert len(gaps) >= 6
    assert min(gaps) >= SELDOM_S
    later = 110.0 + 2 * SELDOM_S
    assert [pace.next(1, [RAW, EVENTS], at)[1] for at in (later, later + BUSY_S / 2)] == [[RAW, EVENTS]] * 2


def test_what_is_read_seldom_is_asked_for_every_time_where_there_is_nothing_else() -> None:
    pace = Pace(frozenset({"events.payments"}), GATHER_S)
    assert all(names == ["events.payments"] for _, names in asked(pace, 3.0, [EVENTS]))


def test_one_broker_under_load_says_nothing_of_another() -> None:
    pace = Pace(frozenset({"events.payments"}), GATHER_S)
    asked(pace, 3.0, [RAW, EVENTS])
    assert pace.next(2, [RAW, EVENTS], 103.0) == (0.0, [RAW, EVENTS])


# -- while a stage is at work ------------------------------------------------------------------------------------


async def waits(stage: Occupied) -> bool:
    """Whether somebody who asks now has to wait."""
    asking = asyncio.create_task(stage.over())
    await asyncio.sleep(0)
    waited = not asking.done()
    asking.cancel()
    return waited


async def test_a_fetch_waits_for_a_turn_over_a_few_records_and_for_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paces, "_PATIENCE_S", 60.0)
    stage = Occupied()
    assert not await waits(stage)
    stage.begin(1)
    assert await waits(stage)
    stage.begin(1_000)
    assert not await waits(stage)


async def test_who_waits_on_another_loop_hears_of_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paces, "_PATIENCE_S", 60.0)
    stage = Occupied()
    stage.begin(1)
    waiting = threading.Event()

    async def ask() -> None:
        asking = asyncio.create_task(stage.over())
        await asyncio.sleep(0)
        waiting.set()
        async with asyncio.timeout(30):
            await asking

    asked = asyncio.create_task(asyncio.to_thread(asyncio.run, ask()))
    assert await asyncio.to_thread(waiting.wait, 30)
    stage.end()
    await asked


async def test_a_turn_that_takes_long_holds_up_no_other_stage() -> None:
    stage = Occupied()
    stage.begin(1)
    async with asyncio.timeout(30):
        await stage.over()


def test_a_turn_that_ends_after_who_waited_for_it_is_gone_ends_all_the_same() -> None:
    stage = Occupied()
    stage.begin(1)
    asyncio.run(waits(stage))
    stage.end()
    assert not asyncio.run(waits(stage))
