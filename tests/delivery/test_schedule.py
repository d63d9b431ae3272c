"""The retry schedule: Standard Webhooks', the same after a restart, and civil to receivers."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.delivery.schedule import DELAYS_S, Next, Outcome, Schedule
from hub.sdk.http import retry_after

NOW = 1_700_000_000.0
LAST = len(DELAYS_S)
FAILURES = [0, 301, 302, 307, 400, 401, 403, 404, 408, 415, 425, 429, 500, 502, 503, 504, 100, 999]

attempts = st.integers(min_value=1, max_value=LAST - 1)
ids = st.text(max_size=20)


@given(st.integers(200, 299), st.integers(1, LAST + 3))
def test_any_2xx_is_delivered_at_any_attempt(status: int, attempt: int) -> None:
    assert Schedule().decide("d", attempt, Outcome(status), NOW) == Next("delivered")


@given(st.integers(1, LAST + 3))
def test_410_ends_the_subscription(attempt: int) -> None:
    assert Schedule().decide("d", attempt, Outcome(410), NOW) == Next("ended")


@pytest.mark.parametrize("status", FAILURES)
def test_everything_else_is_tried_again_until_the_last_attempt(status: int) -> None:
    for attempt in range(1, LAST):
        assert Schedule().decide("d", attempt, Outcome(status), NOW).verdict == "attempt-failed"
    assert Schedule().decide("d", LAST, Outcome(status), NOW) == Next("dead-lettered")


def test_what_cannot_ever_succeed_is_not_tried_again() -> None:
    assert Schedule().decide("d", 1, Outcome(reason="unreadable", final=True), NOW) == Next("dead-lettered")


@given(ids, attempts)
def test_the_wait_is_the_schedules_and_up_to_a_fifth_more(delivery_id: str, attempt: int) -> None:
    wait = Schedule().decide(delivery_id, attempt, Outcome(500), NOW).due - NOW
    assert DELAYS_S[attempt] - 1e-3 <= wait <= DELAYS_S[attempt] * 1.2


@given(ids, attempts)
def test_a_restart_computes_the_same_time(delivery_id: str, attempt: int) -> None:
    assert Schedule().decide(delivery_id, attempt, Outcome(500), NOW) == Schedule().decide(
        delivery_id, attempt, Outcome(503), NOW
    )


def test_deliveries_that_failed_together_are_not_retried_together() -> None:
    dues = {Schedule().decide(f"d{i}", 3, Outcome(500), NOW).due for i in range(200)}
    assert len(dues) == 200
    assert max(dues) - min(dues) > 0.8 * 0.2 * DELAYS_S[3]


def test_ten_attempts_take_about_three_days() -> None:
    assert LAST == 10
    assert sum(DELAYS_S) == 75 * 3600 + 35 * 60 + 5


@given(attempts, st.floats(min_value=1, max_value=100_000))
def test_speed_shortens_every_wait(attempt: int, speed: float) -> None:
    usual = Schedule().decide("d", attempt, Outcome(500), 0).due
    assert Schedule(speed=speed).decide("d", attempt, Outcome(500), 0).due == pytest.approx(usual / speed)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_receiver_that_asks_for_time_gets_it(status: int) -> None:
    assert Schedule().decide("d", 1, Outcome(status, retry_after=3_600), NOW).due == NOW + 3_600


def test_a_receiver_cannot_hurry_us_nor_hold_an_event_for_longer_than_a_day() -> None:
    usual = Schedule().decide("d", 2, Outcome(503), NOW).due
    assert Schedule().decide("d", 2, Outcome(503, retry_after=1), NOW).due == usual
    assert Schedule().decide("d", 2, Outcome(503, retry_after=10**9), NOW).due == NOW + 86_400


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_busy_and_says_for_how_long_is_left_alone_for_a_day_at_most(status: int) -> None:
    assert Schedule().pause(Outcome(status, retry_after=30)) == 30
    assert Schedule().pause(Outcome(status, retry_after=10**9)) == 86_400
    assert Schedule().pause(Outcome(status)) == 0


@pytest.mark.parametrize("status", [0, 200, 301, 404, 500])
def test_no_other_answer_says_anything_about_the_whole_subscription(status: int) -> None:
    assert Schedule().pause(Outcome(status, retry_after=30)) == 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        (format_datetime(datetime.fromtimestamp(NOW + 90, UTC), usegmt=True), 90.0),
        (format_datetime(datetime.fromtimestamp(NOW - 90, UTC), usegmt=True), 0.0),
        ("Tue, 14 Nov 2023 22:14:20 -0000", 60.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("\u0662", None),
        ("9" * 400, 999_999_999_999.0),
        ("Tue, 99 Nov 2023 22:14:20 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(text: str, seconds: float | None) -> None:
    assert retry_after(text, NOW) == seconds


@given(st.text() | st.integers().map(str))
def test_no_retry_after_makes_trouble(text: str) -> None:
    seconds = retry_after(text, NOW)
    due = Schedule().decide("d", 1, Outcome(503, retry_after=seconds), NOW).due
    assert NOW + 5 <= due <= NOW + 86_400
