"""Lanes under random outcomes, latencies and rebalances: what holds whatever happens. In simulated time."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.delivery.clock import LoopClock
from hub.delivery.delivery import Delivery, Key, Step
from hub.delivery.lanes import Lanes, Limits
from hub.delivery.schedule import Outcome, Schedule
from tests.schedules import schedules

Simulate = Callable[[Coroutine[Any, Any, None]], None]

START = 1_700_000_000.0
NEVER = 1_000_000
LONGER_THAN_ANY_SCHEDULE_S = 60 * 86_400
SUBSCRIPTIONS, SUBJECTS, PARTITIONS = ("s1", "s2"), ("a", "b", "c"), (0, 1)


@dataclass
class Attempt:
    """What the receiver will do with one attempt: answer `status` after `takes` seconds, or refuse it for good."""

    status: int
    takes: float
    asks: float | None = None
    final: bool = False


@dataclass
class World:
    """A receiver that keeps account of all it sees, and answers as the plan of each delivery says."""

    plans: dict[Key, list[Attempt]]
    arrivals: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    under_way: set[tuple[str, str]] = field(default_factory=set)
    taken_at: dict[Key, float] = field(default_factory=dict)
    pauses: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    async def send(self, one: Delivery) -> Outcome:
        lane = (one.recipient, one.subject)
        assert lane not in self.under_way, "two of one subject at the same time"
        now = asyncio.get_running_loop().time()
        pauses = self.pauses[one.recipient]
        assert not any(since < now < until - 0.01 for since, until in pauses), "it asked to be left alone"
        self.under_way.add(lane)
        self.arrivals[lane].append(one.offset)
        try:
            plan = self.plans[one.key]
            attempt = plan.pop(0) if plan else Attempt(200, 0.1)
            await asyncio.sleep(attempt.takes)
        finally:
            self.under_way.discard(lane)
        if attempt.status == 200:
            self.taken_at[one.key] = asyncio.get_running_loop().time()
        if attempt.asks is not None:
            now = asyncio.get_running_loop().time()
            self.pauses[one.recipient].append((now, now + attempt.asks))
        return Outcome(attempt.status, retry_after=attempt.asks, final=attempt.final)


attempts = st.builds(
    Attempt, st.sampled_from([200, 200, 200, 500, 429, 302, 0]), st.sampled_from([0.0, 0.01, 1.0, 14.0])
)

taken = st.builds(Attempt, st.just(200), st.sampled_from([0.0, 0.01, 1.0]))

refused = st.builds(Attempt, st.just(0), st.sampled_from([0.0, 0.01, 1.0]), final=st.just(True))

busy = st.builds(
    Attempt, st.sampled_from([429, 503]), st.sampled_from([0.0, 1.0]), st.sampled_from([3.0, 900.0])
)


@st.composite
def inboxes(
    draw: st.DrawFn, attempts: st.SearchStrategy[Attempt] = attempts
) -> list[tuple[Delivery, list[Attempt]]]:
    """Deliveries with their plans; a subject always comes from the same partition, as in Kafka."""
    places = draw(
        st.lists(
            st.tuples(
                st.sampled_from(SUBSCRIPTIONS), st.sampled_from(SUBJECTS), st.lists(attempts, max_size=12)
            ),
            max_size=25,
        )
    )
    return [
        (Delivery(name, subject, f"e{offset}", f"inbox.{name}", SUBJECTS.index(subject) % 2, offset), plan)
        for offset, (name, subject, plan) in enumerate(places)
    ]


def first_arrivals(offsets: list[int]) -> list[int]:
    return list(dict.fromkeys(offsets))


@given(
    inbox=inboxes(attempts | busy | refused),
    concurrency=st.integers(1, 4),
    away_after=st.sampled_from([1, 3, NEVER]),
    pauses=st.lists(st.sampled_from([0.0, 0.5, 400.0])),
)
@settings(max_examples=schedules(150), deadline=None)
def test_order_holds_and_each_delivery_ends_exactly_once(
    simulate: Simulate,
    inbox: list[tuple[Delivery, list[Attempt]]],
    concurrency: int,
    away_after: int,
    pauses: list[float],
) -> None:
    async def run() -> None:
        world = World({one.key: list(plan) for one, plan in inbox})
        lanes = Lanes(world.send, Schedule(), LoopClock(START), Limits(concurrency, away_after))
        for number, (one, _) in enumerate(inbox):
            lanes.add(one)
            await asyncio.sleep(pauses[number] if number < len(pauses) else 0)
        _, rest = await lanes.settled([one for one, _ in inbox], LONGER_THAN_ANY_SCHEDULE_S)
        assert rest == []
        for offsets in world.arrivals.values():
            # Not only first arrivals: no attempt of an earlier event follows one of a later.
            assert offsets == sorted(offsets)
        ends = [step.delivery for step in lanes.take() if step.verdict != "attempt-failed"]
        assert sorted(ends, key=lambda one: one.offset) == [one for one, _ in inbox]
        for one, _ in inbox:
            assert one.verdict == ("delivered" if one.key in world.taken_at else "dead-lettered")
            arrived = world.arrivals[one.recipient, one.subject].count(one.offset)
            counted = one.attempts + (one.verdict == "delivered")
            assert arrived == counted if away_after == NEVER else arrived >= counted
        assert lanes.pending() == {}

    simulate(run())


@given(
    drawn=st.tuples(inboxes(attempts | refused), st.just(NEVER))
    | st.tuples(inboxes(taken | refused), st.just(1))  # none of these may have it taken to be away
)
@settings(max_examples=schedules(100), deadline=None)
def test_nobody_is_delayed_by_anothers_failures_nor_by_what_is_refused_for_itself(
    simulate: Simulate, drawn: tuple[list[tuple[Delivery, list[Attempt]]], int]
) -> None:
    inbox, away_after = drawn

    async def run() -> None:
        world = World({one.key: list(plan) for one, plan in inbox})
        lanes = Lanes(world.send, Schedule(), LoopClock(START), Limits(away_after=away_after))
        for one, _ in inbox:
            lanes.add(one)
        await lanes.settled([one for one, _ in inbox], LONGER_THAN_ANY_SCHEDULE_S)
        spent: dict[tuple[str, str], float] = defaultdict(float)
        troubled: set[tuple[str, str]] = set()
        for one, plan in inbox:
            lane = (one.recipient, one.subject)
            first = plan[0] if plan else Attempt(200, 0.1)
            spent[lane] += first.takes
            if first.final:
                continue
            if first.status != 200:
                troubled.add(lane)
            if lane not in troubled:
                # As soon as those before it in its own lane allowed, to the microsecond.
                assert abs(world.taken_at[one.key] - spent[lane]) < 1e-6

    simulate(run())


@dataclass
class Log:
    """The caller's durable state, as the stream keeps it: what is over, and how far the rest has come."""

    inbox: list[Delivery]
    over: dict[Key, Step] = field(default_factory=dict)
    failed: dict[Key, Step] = field(default_factory=dict)

    def persist(self, steps: list[Step]) -> None:
        for step in steps:
            assert step.delivery.key not in self.over, "ended twice"
            (self.failed if step.verdict == "attempt-failed" else self.over)[step.delivery.key] = step

    def unfinished(self, topic: str, partition: int) -> list[Delivery]:
        """What a new owner of the partition starts from."""
        mine = [one for one in self.inbox if (one.topic, one.partition) == (topic, partition)]
        return [self.restored(one) for one in mine if one.key not in self.over]

    def restored(self, one: Delivery) -> Delivery:
        step = self.failed.get(one.key)
        stands = (step.attempt, step.due) if step else (0, 0.0)
        return Delivery(
            one.recipient, one.subject, one.event_id, one.topic, one.partition, one.offset, *stands
        )


moves = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.005, 3.0, 500.0]),
        st.sampled_from([0.0, 1.0]),
        st.sampled_from(SUBSCRIPTIONS),
        st.sampled_from(PARTITIONS),
    ),
    max_size=8,
)


@given(inbox=inboxes(), moves=moves, two_workers=st.booleans())
@settings(max_examples=schedules(150), deadline=None)
def test_nothing_is_lost_or_out_of_order_when_partitions_move(
    simulate: Simulate,
    inbox: list[tuple[Delivery, list[Attempt]]],
    moves: list[tuple[float, float, str, int]],
    two_workers: bool,
) -> None:
    async def run() -> None:
        world = World({one.key: list(plan) for one, plan in inbox})
        log = Log([one for one, _ in inbox])
        clock = LoopClock(START)

        def assigned() -> list[Lanes]:
            """All partitions anew: that is how groups rebalance here."""
            workers = [Lanes(world.send, Schedule(), clock) for _ in range(1 + two_workers)]
            for place, at in owner.items():
                for one in log.unfinished(*place):
                    workers[at % len(workers)].add(one)
            return workers

        owner = {(f"inbox.{name}", part): 0 for name in SUBSCRIPTIONS for part in PARTITIONS}
        workers = assigned()
        for pause, grace, name, partition in moves:
            await asyncio.sleep(pause)
            for worker in workers:
                await worker.stop(grace)
                log.persist(worker.take())
            owner[f"inbox.{name}", partition] += 1
            workers = assigned()
        for number, worker in enumerate(workers):
            log.persist(worker.take())
            places = [place for place, at in owner.items() if at % len(workers) == number]
            mine = [worker.add(one) for place in places for one in log.unfinished(*place)]
            await worker.settled(mine, LONGER_THAN_ANY_SCHEDULE_S)
            log.persist(worker.take())
            assert worker.pending() == {}
        assert set(log.over) == {one.key for one in log.inbox}
        for offsets in world.arrivals.values():
            assert first_arrivals(offsets) == sorted(set(offsets))
        for key, step in log.over.items():
            assert step.verdict in ("delivered", "dead-lettered")
            assert (step.verdict == "delivered") <= (key in world.taken_at)

    simulate(run())
