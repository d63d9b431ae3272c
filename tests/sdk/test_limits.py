"""Not asking too often: a rate limit that listens, a circuit breaker, on a clock of their own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.sdk import Breaker, RateLimit, Retry


@dataclass
class Hand:
    """A clock that only sleeping, and the test, move."""

    at: float = 1000.0

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


@given(st.integers(1, 5), st.lists(st.floats(0, 2), min_size=1, max_size=30))
def test_no_window_of_the_length_agreed_ever_holds_more_calls_than_agreed(
    count: int, gaps: list[float]
) -> None:
    hand, calls = Hand(), list[float]()
    limit = RateLimit(count, per_s=1.0, now=hand.now, sleep=hand.sleep)

    async def run() -> None:
        for gap in gaps:
            hand.at += gap
            await limit.wait()
            calls.append(hand.at)

    asyncio.run(run())
    for first, later in zip(calls, calls[count:], strict=False):
        assert later - first >= 1.0 - 1e-9


@pytest.mark.parametrize(
    ("headers", "refused", "waits"),
    [
        ({"ratelimit-remaining": "0", "ratelimit-reset": "7"}, None, 7.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"}, None, 3.0),
        ({"ratelimit-remaining": "4", "ratelimit-reset": "7"}, None, 0.0),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "soon"}, None, 0.0),
        ({}, 12.0, 12.0),
    ],
)
async def test_what_the_system_says_of_its_limit_is_heeded(
    headers: dict[str, str], refused: float | None, waits: float
) -> None:
    hand = Hand()
    limit = RateLimit(100, now=hand.now, sleep=hand.sleep)
    limit.heard(headers, refused)
    await limit.wait()
    assert hand.at - 1000.0 == pytest.approx(waits)


async def test_a_long_wait_is_left_to_the_hub_and_not_slept_through_within_a_call() -> None:
    hand = Hand()
    limit = RateLimit(100, now=hand.now, sleep=hand.sleep)
    limit.heard({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "600"})
    with pytest.raises(Retry) as caught:
        await limit.wait()
    assert caught.value.after == pytest.approx(600)
    hand.at += 590
    await limit.wait()
    assert hand.at - 1000.0 == pytest.approx(600)


def test_a_system_that_fails_on_and_on_is_left_in_peace_and_then_tried_by_one() -> None:
    hand = Hand()
    breaker = Breaker(failures=3, rest_s=30.0, now=hand.now)
    for _ in range(3):
        breaker.ask()
        breaker.failed()
    with pytest.raises(Retry) as caught:
        breaker.ask()
    assert caught.value.after == pytest.approx(30.0)
    hand.at += 31
    breaker.ask()
    with pytest.raises(Retry):
        breaker.ask()
    breaker.worked()
    for _ in range(10):
        breaker.ask()


def test_failures_between_which_it_worked_open_nothing() -> None:
    breaker = Breaker(failures=2, now=Hand().now)
    for _ in range(10):
        breaker.ask()
        breaker.failed()
        breaker.worked()
