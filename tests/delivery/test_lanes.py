"""Lanes: order per subject kept while retrying, nobody else held up, nothing lost. In simulated time."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest

from hub.delivery.clock import LoopClock
from hub.delivery.delivery import Delivery
from hub.delivery.lanes import Lanes, Limits
from hub.delivery.schedule import DELAYS_S, Outcome, Schedule

START = 1_700_000_000.0
OK, BROKEN, GONE = Outcome(200), Outcome(500, "HTTP 500"), Outcome(410, "HTTP 410")
Send = Callable[[Delivery], Awaitable[Outcome]]
Simulate = Callable[[Coroutine[Any, Any, None]], None]


def delivery(offset: int, subject: str = "p-1", subscription: str = "s1", **stands: float) -> Delivery:
    return Delivery(
        subscription,
        subject,
        event_id=f"e{offset}",
        topic="inbox.x",
        partition=0,
        offset=offset,
        attempts=int(stands.get("attempts", 0)),
        due=stands.get("due", 0.0),
    )


class Receiver:
    """A subscriber: answers as told per (subscription, offset), OK otherwise, after `takes` seconds."""

    def __init__(self, takes: float = 0.01) -> None:
        self.takes = takes
        self.answers: dict[tuple[str, int], list[Outcome]] = {}
        self.seen: list[tuple[float, str, str, int]] = []
        self.under_way: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def __call__(self, one: Delivery) -> Outcome:
        name = one.recipient
        self.seen.append((asyncio.get_running_loop().time(), name, one.subject, one.offset))
        self.under_way[name] += 1
        self.most[name] = max(self.most[name], self.under_way[name])
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.under_way[name] -= 1
        answers = self.answers.get((name, one.offset))
        return answers.pop(0) if answers else OK

    def offsets(self, subject: str = "p-1", subscription: str = "s1") -> list[int]:
        return [offset for _, name, about, offset in self.seen if (name, about) == (subscription, subject)]


DOWN = Outcome(reason="no connection")
REFUSED = Outcome(reason="of no use to it", final=True)


def lanes_for(send: Send, speed: float = 1.0, limits: Limits | None = None) -> Lanes:
    return Lanes(send, Schedule(speed=speed), LoopClock(START), limits)


def test_a_subjects_followers_wait_while_its_head_is_retried_and_others_do_not(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        receiver.answers["s1", 1] = [BROKEN, BROKEN]
        lanes = lanes_for(receiver)
        mine = [lanes.add(delivery(offset)) for offset in (1, 2, 3)]
        others = [lanes.add(delivery(4, "p-2")), lanes.add(delivery(1, "p-1", "s2"))]
        finished, rest = await lanes.settled(others, 1)
        assert (finished, rest) == (others, [])
        assert asyncio.get_running_loop().time() < 0.1
        await lanes.settled(mine, 1_000)
        assert receiver.offsets() == [1, 1, 1, 2, 3]

    simulate(run())


def test_every_step_is_told_once_for_the_caller_to_persist(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        receiver.answers["s1", 1] = [BROKEN]
        lanes = lanes_for(receiver)
        one = lanes.add(delivery(1))
        await asyncio.wait_for(lanes.stepped(), 1)
        (failed,) = lanes.take()
        assert (failed.verdict, failed.attempt, failed.outcome) == ("attempt-failed", 1, BROKEN)
        assert failed.due == one.due
        assert START + 5 <= failed.due <= START + 7
        assert (one.attempts, one.verdict) == (1, None)
        await lanes.settled([one], 10)
        (delivered,) = lanes.take()
        assert (delivered.verdict, delivered.attempt, one.verdict) == ("delivered", 2, "delivered")
        assert lanes.take() == []
        assert lanes.pending() == {}

    simulate(run())


def test_after_the_last_attempt_it_is_a_dead_letter_and_the_next_goes_on(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        receiver.answers["s1", 1] = [BROKEN] * len(DELAYS_S)
        lanes = lanes_for(receiver)
        first, second = lanes.add(delivery(1)), lanes.add(delivery(2))
        await lanes.settled([first, second], 10 * 86_400)
        assert (first.verdict, second.verdict) == ("dead-lettered", "delivered")
        assert [step.verdict for step in lanes.take()] == [
            *["attempt-failed"] * (len(DELAYS_S) - 1),
            "dead-lettered",
            "delivered",
        ]
        assert 75 * 3600 < asyncio.get_running_loop().time() < 95 * 3600

    simulate(run())


def test_a_restart_goes_on_at_the_attempt_and_time_where_it_was(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        receiver.answers["s1", 1] = [BROKEN]
        lanes = lanes_for(receiver)
        one = lanes.add(delivery(1, attempts=9, due=START + 100))
        lanes.add(delivery(2))
        await lanes.settled([one], 200)
        assert receiver.seen[0][0] == pytest.approx(100, abs=0.01)
        assert (one.verdict, one.attempts) == ("dead-lettered", 10)
        await lanes.stop(1)

    simulate(run())


def test_what_is_added_late_still_goes_by_its_place_in_the_inbox(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        lanes = lanes_for(receiver)
        waiting = [lanes.add(delivery(offset, due=START + 10)) for offset in (5, 6)]
        waiting += [lanes.add(delivery(offset)) for offset in (4, 3)]
        await lanes.settled(waiting, 20)
        # 4 was under way before 3 came.
        assert receiver.offsets() == [4, 3, 5, 6]

    simulate(run())


def test_adding_the_same_delivery_twice_is_adding_it_once(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        lanes = lanes_for(receiver)
        one = lanes.add(delivery(1))
        assert lanes.add(delivery(1)) is one
        await lanes.settled([one], 1)
        assert receiver.offsets() == [1]
        assert len(lanes.take()) == 1

    simulate(run())


def test_410_ends_everything_of_that_subscription_and_nothing_else(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        receiver.answers["s1", 1] = [GONE]
        lanes = lanes_for(receiver)
        mine = [lanes.add(delivery(offset)) for offset in (1, 2, 3)]
        mine.append(lanes.add(delivery(4, "p-2", due=START + 500)))
        other = lanes.add(delivery(1, subscription="s2"))
        await lanes.settled([*mine, other], 1)
        assert [one.verdict for one in mine] == ["ended"] * 4
        assert other.verdict == "delivered"
        assert receiver.offsets() == [1]
        assert {step.outcome.reason for step in lanes.take() if step.verdict == "ended"} == {"HTTP 410"}

    simulate(run())


def test_when_a_subscription_ends_attempts_under_way_are_told_truly_and_never_retried(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        receiver = Receiver(takes=1)
        receiver.answers["s1", 2] = [BROKEN]
        lanes = lanes_for(receiver)
        mine = [lanes.add(delivery(1, "a")), lanes.add(delivery(2, "b")), lanes.add(delivery(3, "b"))]
        await asyncio.sleep(0.5)
        lanes.end("s1", "removed by its party")
        late = lanes.add(delivery(4, "c"))
        assert (mine[2].verdict, late.verdict) == ("ended", "ended")
        await lanes.settled(mine, 10)
        assert [one.verdict for one in mine] == ["delivered", "ended", "ended"]
        assert lanes.pending() == {}
        lanes.end("unknown")

    simulate(run())


def test_a_subscription_that_asks_for_time_gets_it_in_all_its_lanes_and_no_other_waits(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        receiver = Receiver(takes=1)
        receiver.answers["s1", 1] = [Outcome(429, "HTTP 429", retry_after=60)]
        receiver.answers["s1", 2] = [BROKEN]
        lanes = lanes_for(receiver, limits=Limits(concurrency=2))
        mine = [lanes.add(delivery(offset, f"p-{offset}")) for offset in (1, 2, 3)]
        other = lanes.add(delivery(1, subscription="s2"))
        # The third awaits a place when the pause begins.
        finished, rest = await lanes.settled([mine[2], *mine[:2], other], 30)
        assert (finished, rest) == ([other], [mine[2], *mine[:2]])
        assert asyncio.get_running_loop().time() < 2
        mine.append(lanes.add(delivery(4, "p-4")))
        await lanes.settled(mine, 100)
        assert [one.verdict for one in mine] == ["delivered"] * 4
        started = [round(at) for at, name, _, _ in receiver.seen if name == "s1"]
        assert started == [0, 0, 61, 61, 62, 62]

    simulate(run())


def test_time_asked_for_is_not_cut_short_by_an_answer_that_asks_for_less(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver(takes=1)
        for offset, seconds in ((1, 100.0), (2, 10.0)):
            receiver.answers["s1", offset] = [Outcome(503, "HTTP 503", retry_after=seconds)]
        lanes = lanes_for(receiver)
        mine = [lanes.add(delivery(offset, f"p-{offset}")) for offset in (1, 2)]
        await lanes.settled(mine, 200)
        assert [round(at) for at, *_ in receiver.seen] == [0, 0, 101, 101]

    simulate(run())


def test_a_hanging_subscription_uses_its_own_places_and_no_others(simulate: Simulate) -> None:
    async def run() -> None:
        async def send(one: Delivery) -> Outcome:
            if one.recipient == "hangs":
                await asyncio.sleep(3_600)
            return await receiver(one)

        receiver = Receiver()
        lanes = lanes_for(send, limits=Limits(concurrency=4))
        for offset in range(50):
            lanes.add(delivery(offset, f"p-{offset}", "hangs"))
        fine = [lanes.add(delivery(offset, f"p-{offset}", "fine")) for offset in range(50)]
        _, rest = await lanes.settled(fine, 0.2)
        assert rest == []
        assert receiver.most["fine"] == 4
        await lanes.stop(0)

    simulate(run())


def test_settled_does_not_wait_for_what_cannot_happen_in_time(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        receiver.answers["s1", 1] = [BROKEN]
        lanes = lanes_for(receiver)
        failing = [lanes.add(delivery(1)), lanes.add(delivery(2))]
        fine = lanes.add(delivery(3, "p-2"))
        finished, rest = await lanes.settled([*failing, fine], 4)
        assert (finished, rest) == ([fine], failing)
        assert asyncio.get_running_loop().time() < 0.1
        await lanes.stop(1)

    simulate(run())


def test_settled_gives_up_on_slow_receivers_at_its_time_limit(simulate: Simulate) -> None:
    async def run() -> None:
        lanes = lanes_for(Receiver(takes=30))
        one = lanes.add(delivery(1))
        assert await lanes.settled([one], 2) == ([], [one])
        assert asyncio.get_running_loop().time() == pytest.approx(2)
        await lanes.stop(60)
        assert one.verdict == "delivered"

    simulate(run())


def test_a_sender_that_raises_is_a_failed_attempt_named_by_its_class_alone(simulate: Simulate) -> None:
    async def run() -> None:
        async def send(_: Delivery) -> Outcome:
            raise RuntimeError("personal data")

        lanes = lanes_for(send)
        lanes.add(delivery(1))
        await lanes.stepped()
        assert lanes.take()[0].outcome == Outcome(reason="RuntimeError")
        await lanes.stop(0)

    simulate(run())


def test_what_comes_in_ahead_of_one_that_awaits_a_place_still_waits_until_it_is_due(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        receiver = Receiver(takes=1)
        lanes = lanes_for(receiver, limits=Limits(concurrency=1))
        several = [
            lanes.add(delivery(1, "p-2")),
            lanes.add(delivery(5)),
            lanes.add(delivery(4, due=START + 50)),
        ]
        await lanes.settled(several, 100)
        assert [(round(at), offset) for at, _, _, offset in receiver.seen] == [(0, 1), (50, 4), (51, 5)]

    simulate(run())


def test_stop_lets_attempts_finish_and_returns_what_is_left(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver(takes=1)
        lanes = lanes_for(receiver)
        quick = lanes.add(delivery(1))
        queued = lanes.add(delivery(2))
        later = lanes.add(delivery(3, "p-2", due=START + 50))
        await asyncio.sleep(0.5)
        assert await lanes.stop(5) == [queued, later]
        assert quick.verdict == "delivered"
        assert asyncio.get_running_loop().time() == pytest.approx(1)
        with pytest.raises(RuntimeError, match="stopped"):
            lanes.add(delivery(4))

    simulate(run())


def test_stop_cuts_off_what_takes_too_long_and_it_stays_pending(simulate: Simulate) -> None:
    async def run() -> None:
        lanes = lanes_for(Receiver(takes=100))
        one = lanes.add(delivery(1))
        await asyncio.sleep(1)
        assert await lanes.stop(5) == [one]
        assert lanes.take() == []
        assert asyncio.get_running_loop().time() == pytest.approx(6)

    simulate(run())


def test_nothing_is_under_way_any_more_when_stop_returns(simulate: Simulate) -> None:
    """One that arrived after the partition's next owner had gone on would be out of order."""

    async def run() -> None:
        stubborn = asyncio.Event()
        under_way: list[Delivery] = []

        async def send(one: Delivery) -> Outcome:
            under_way.append(one)
            try:
                await asyncio.sleep(10)
            except asyncio.CancelledError:
                await stubborn.wait()
                raise
            finally:
                under_way.remove(one)
            return OK

        lanes = lanes_for(send)
        one = lanes.add(delivery(1))
        stopping = asyncio.ensure_future(lanes.stop(1))
        await asyncio.sleep(5)
        assert under_way == [one]
        stubborn.set()
        assert await stopping == [one]
        assert under_way == []

    simulate(run())


def test_an_answer_that_comes_in_spite_of_the_cut_is_told(simulate: Simulate) -> None:
    async def run() -> None:
        async def send(_: Delivery) -> Outcome:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10)
            return OK

        lanes = lanes_for(send)
        one = lanes.add(delivery(1))
        await asyncio.sleep(1)
        assert await lanes.stop(1) == []
        assert [(step.delivery, step.verdict) for step in lanes.take()] == [(one, "delivered")]

    simulate(run())


def test_nothing_is_kept_of_subjects_that_are_done_with(simulate: Simulate) -> None:
    async def run() -> None:
        lanes = lanes_for(Receiver())
        done = [lanes.add(delivery(offset, f"p-{offset}", f"s{offset % 7}")) for offset in range(500)]
        await lanes.settled(done, 60)
        kept = [value for value in vars(lanes).values() if isinstance(value, dict)]
        assert all(not value for value in kept)

    simulate(run())


def test_fairness_within_a_subscription_is_first_due_first_served(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        lanes = lanes_for(receiver, limits=Limits(concurrency=1))
        several = [lanes.add(delivery(offset, f"p-{offset % 3}")) for offset in range(9)]
        await lanes.settled(several, 60)
        served: dict[str, int] = defaultdict(int)
        for _, _, subject, _ in receiver.seen:
            served[subject] += 1
            assert max(served.values()) - min(served.get(f"p-{n}", 0) for n in range(3)) <= 1

    simulate(run())


def down_until(back_at: float, receiver: Receiver) -> Send:
    """A subscriber that cannot be reached before `back_at` (simulated seconds)."""

    async def send(one: Delivery) -> Outcome:
        outcome = await receiver(one)
        return outcome if asyncio.get_running_loop().time() >= back_at else DOWN

    return send


def test_one_that_fails_all_the_time_is_left_alone_but_for_a_look_a_minute(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        lanes = lanes_for(down_until(3_600, receiver), limits=Limits(concurrency=4, away_after=4))
        mine = [lanes.add(delivery(offset, f"p-{offset}")) for offset in range(500)]
        await asyncio.sleep(3_500)
        assert lanes.away("s1")
        # Four at once, the three beside the fourth failure, one look a minute, and the retries of all those.
        tried = {one.offset for one in mine if one.attempts}
        assert len(tried) <= 4 + 3 + 3_500 / 60 + 4
        assert all(one.attempts <= 4 for one in mine)
        await lanes.settled(mine, 300)
        assert [one.verdict for one in mine] == ["delivered"] * 500
        assert not lanes.away("s1")
        # Within a minute of its return, though the next attempts were due in over an hour.
        assert asyncio.get_running_loop().time() < 3_600 + 61 + 500 * 0.01

    simulate(run())


def test_a_look_at_one_that_is_away_takes_no_attempt_from_what_waits(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        lanes = lanes_for(down_until(7_000, receiver), limits=Limits(away_after=2))
        mine = [lanes.add(delivery(offset, f"p-{offset}")) for offset in range(2)]
        await asyncio.sleep(6_900)
        assert len(receiver.seen) > 100
        # By their schedule alone: at once, after 5 s, 5 min and 30 min.
        assert [one.attempts for one in mine] == [4, 4]
        uncounted = [step for step in lanes.take() if not step.counted]
        assert len(uncounted) == len(receiver.seen) - 8
        await lanes.settled(mine, 300)
        assert [one.verdict for one in mine] == ["delivered"] * 2

    simulate(run())


def test_looks_go_round_so_that_no_event_that_fails_for_itself_hides_a_recovery(simulate: Simulate) -> None:
    async def run() -> None:
        async def send(one: Delivery) -> Outcome:
            healthy = asyncio.get_running_loop().time() > 100
            return OK if healthy and one.offset >= 20 else BROKEN

        lanes = lanes_for(send)
        mine = [lanes.add(delivery(offset, f"p-{offset}")) for offset in range(40)]
        await lanes.settled(mine[20:], 10_000)
        assert [one.verdict for one in mine[20:]] == ["delivered"] * 20
        assert asyncio.get_running_loop().time() < 1_500
        # By their schedule alone, however often it came back: at once, after 5 s and 5 min.
        assert max(one.attempts for one in mine[:20]) <= 3
        await lanes.stop(0)

    simulate(run())


def test_a_return_takes_no_attempt_from_events_that_fail_for_themselves(simulate: Simulate) -> None:
    async def run() -> None:
        async def send(one: Delivery) -> Outcome:
            await asyncio.sleep(0.5)
            return BROKEN if one.offset < 20 else OK

        lanes = lanes_for(send)
        failing = [lanes.add(delivery(offset, f"p-{offset}")) for offset in range(20)]
        healthy = []
        for offset in range(20, 1_220):
            healthy.append(lanes.add(delivery(offset, f"p-{offset}")))
            await asyncio.sleep(0.1)
        await lanes.settled(healthy, 100)
        assert {one.verdict for one in healthy} == {"delivered"}
        # By their schedule alone: at once, and after 5 s.
        assert {one.attempts for one in failing} == {2}
        await lanes.stop(0)

    simulate(run())


def test_where_all_that_is_at_hand_failed_before_something_new_is_asked_for_to_look_with(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        async def send(one: Delivery) -> Outcome:
            return OK if one.offset >= 16 else BROKEN

        lanes = lanes_for(send)
        for offset in range(16):
            lanes.add(delivery(offset, f"p-{offset}"))
        await asyncio.sleep(30)
        assert not lanes.away("s1")
        new = lanes.add(delivery(16, "new"))
        assert lanes.away("s1")
        await lanes.settled([new], 61)
        assert new.verdict == "delivered"
        await lanes.stop(0)

    simulate(run())


def test_what_is_refused_for_itself_makes_nobody_away_and_holds_up_nothing(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        receiver.answers = {("s1", offset): [REFUSED] for offset in range(200)}
        lanes = lanes_for(receiver)
        mine = [lanes.add(delivery(offset, f"p-{offset}")) for offset in range(400)]
        await lanes.settled(mine, 10)
        assert [one.verdict for one in mine] == ["dead-lettered"] * 200 + ["delivered"] * 200
        assert len(receiver.seen) == 400

    simulate(run())


def test_a_look_that_meets_what_is_refused_for_itself_is_followed_by_the_next_and_shows_no_return(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        receiver = Receiver()

        async def send(one: Delivery) -> Outcome:
            outcome = await down_until(60, receiver)(one)
            return REFUSED if 2 <= one.offset < 100 else outcome

        lanes = lanes_for(send, limits=Limits(concurrency=2, away_after=2))
        mine = [lanes.add(delivery(offset, f"p-{offset}")) for offset in range(200)]
        await asyncio.sleep(4)
        assert [one.verdict for one in mine[2:100]] == ["dead-lettered"] * 98
        assert lanes.away("s1")
        # The two that failed first, and the look behind all that was refused.
        assert [one.attempts for one in mine if not one.verdict] == [1, 1, 1] + [0] * 99
        await lanes.settled(mine, 100)
        assert {one.verdict for one in mine[100:]} == {"delivered"}
        assert asyncio.get_running_loop().time() < 60 + 61

    simulate(run())


def test_while_one_is_away_what_was_begun_still_ends_as_a_dead_letter_in_time(simulate: Simulate) -> None:
    async def run() -> None:
        lanes = lanes_for(down_until(math.inf, Receiver()), limits=Limits(away_after=3))
        mine = [lanes.add(delivery(offset, f"p-{offset}")) for offset in range(3)]
        await lanes.settled(mine, 10 * 86_400)
        assert [one.verdict for one in mine] == ["dead-lettered"] * 3
        assert asyncio.get_running_loop().time() < 95 * 3_600
        assert not lanes.away("s1")

    simulate(run())


def test_a_look_that_is_answered_410_ends_the_recipient(simulate: Simulate) -> None:
    async def run() -> None:
        receiver = Receiver()
        receiver.answers["s1", 1] = [DOWN, DOWN, GONE]
        receiver.answers["s1", 2] = [DOWN, DOWN, GONE]
        lanes = lanes_for(receiver, limits=Limits(away_after=2))
        mine = [lanes.add(delivery(offset, f"p-{offset}")) for offset in (1, 2)]
        await lanes.settled(mine, 100)
        assert [one.verdict for one in mine] == ["ended", "ended"]
        assert asyncio.get_running_loop().time() < 30

    simulate(run())


def test_what_is_given_up_is_a_dead_letter_unless_it_is_under_way(simulate: Simulate) -> None:
    async def run() -> None:
        lanes = lanes_for(Receiver(takes=5))
        running, behind = lanes.add(delivery(1)), lanes.add(delivery(2))
        await asyncio.sleep(1)
        for one in (running, behind):
            lanes.give_up(one, Outcome(reason="too old", final=True))
        await lanes.settled([running, behind], 10)
        assert (running.verdict, behind.verdict) == ("delivered", "dead-lettered")
        assert len(lanes) == 0

    simulate(run())
