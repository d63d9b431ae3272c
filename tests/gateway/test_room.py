"""One instance that floods fills its share of the gateway, and never that of the others."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.gateway.room import Full, Room, Share

NAMES = st.sampled_from(["pay", "taxi", "care"])


@given(total=st.integers(2, 50), steps=st.lists(st.tuples(NAMES, st.integers(0, 20), st.booleans())))
def test_no_more_is_taken_than_there_is_and_nobody_gets_more_than_is_left_free(
    total: int, steps: list[tuple[str, int, bool]]
) -> None:
    share, has = Share(total), Counter[str]()
    for name, asked, back in steps:
        if back:
            count = min(asked, has[name])
            if count:
                share.give_back(name, count)
            has[name] -= count
            continue
        free = total - sum(has.values())
        fits = has[name] + asked <= free
        try:
            share.take(name, asked)
        except Full:
            assert not fits
        else:
            assert fits
            has[name] += asked
        assert share.used == sum(has.values()) <= total
        assert {one: held for one, held in has.items() if held} == {
            one: held for one, held in share.by.items() if held
        }


@given(flood=NAMES, other=NAMES, total=st.integers(2, 200))
def test_there_is_always_room_for_one_more_than_the_flood(flood: str, other: str, total: int) -> None:
    share = Share(total)
    with suppress(Full):
        while True:
            share.take(flood, 1)
    if other != flood:
        share.take(other, 1)
    assert share.by[flood] <= (total + 1) // 2


def test_who_is_turned_away_learns_whether_it_is_its_own_doing() -> None:
    room = Room(requests=4, held_bytes=1_000)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(room.enter("pay", 10))
        with pytest.raises(Full) as flood, room.enter("pay", 10):
            pass
        assert flood.value.mine
        stack.enter_context(room.enter("taxi", 10))
        with pytest.raises(Full) as other, room.enter("taxi", 10):
            pass
        assert other.value.mine
        assert room.turned_away() == ["pay", "taxi"]
    assert room.requests.used == room.held.used == 0


def test_a_body_that_grows_beyond_the_room_gives_back_all_that_it_held() -> None:
    room = Room(requests=10, held_bytes=1_000)
    with pytest.raises(Full), room.enter("pay", 0) as place:
        for _ in range(100):
            place.grow(100)
    assert room.held.used == room.requests.used == 0
    assert room.turned_away() == ["pay"]
