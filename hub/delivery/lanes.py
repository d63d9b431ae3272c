"""Deliveries in order: one at a time per subscription and subject, all others side by side.

A lane holds what one subscription is to get about one subject, in order of the inbox. Only its head is tried;
while the head waits for its next attempt, the others of its lane wait with it and no other lane does. Each
subscription has its own places for attempts under way, so that one that hangs holds up nobody else. One that
asks for time with a 429 or 503 gets it for all its lanes.
"""

from __future__ import annotations

import asyncio
from bisect import insort
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

from hub.delivery.clock import Clock, Timer
from hub.delivery.delivery import Delivery, Key, Step
from hub.delivery.schedule import Outcome, Schedule, Verdict

# Epoch seconds in a float are exact to a quarter of a microsecond; a timer may fire that much early.
_EARLY_S = 0.001


class _Signal:
    """Wakes those who wait for the next change. An `asyncio.Event` would have to be cleared for each."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def next(self) -> asyncio.Future[None]:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def fire(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


@dataclass(slots=True, eq=False)
class _Lane:
    subscription: _Subscription
    subject: str
    waiting: list[Delivery] = field(default_factory=list)  # by place in the inbox, the one under way included
    running: Delivery | None = None
    queued: bool = False
    timer: Timer | None = None
    changed: _Signal = field(default_factory=_Signal)


@dataclass(slots=True, eq=False)
class _Subscription:
    id: str
    lanes: dict[str, _Lane] = field(default_factory=dict)
    ready: deque[_Lane] = field(default_factory=deque)  # heads that are due and await a place
    running: int = 0
    pending: int = 0
    paused: float = 0.0  # until when it asked to be left alone, epoch seconds; not kept over a restart
    ended: str = ""  # the reason, once over
    shrunk: _Signal = field(default_factory=_Signal)


@dataclass(frozen=True, slots=True)
class Limits:
    """`concurrency` attempts under way per subscription; from `pending` deliveries on, it is `full`."""

    concurrency: int = 16
    pending: int = 2_000


class Lanes:
    """Delivers what is added, by `send`, as `schedule` says. Belongs to one event loop.

    Each step comes out of `take` once. `send` may raise: that is a failed attempt like any other, named by
    the exception's class alone, since its text may hold anything.
    """

    def __init__(
        self,
        send: Callable[[Delivery], Awaitable[Outcome]],
        schedule: Schedule,
        clock: Clock,
        limits: Limits | None = None,
    ) -> None:
        self._send = send
        self._schedule = schedule
        self._clock = clock
        self._limits = limits or Limits()
        self._subscriptions: dict[str, _Subscription] = {}
        self._pending: dict[Key, Delivery] = {}
        self._tasks: dict[Delivery, asyncio.Task[Outcome]] = {}
        self._steps: deque[Step] = deque()
        self._stepped = asyncio.Event()
        self._stopped = False

    def add(self, delivery: Delivery) -> Delivery:
        """Take `delivery` into its lane, at its place by offset; it is tried when it is the head and due.

        Returns it, or the one already pending with the same key: adding twice is adding once. Never refuses
        for being full. Raises RuntimeError after `stop`.
        """
        if self._stopped:
            raise RuntimeError("the lanes are stopped and take nothing more")
        known = self._pending.get(delivery.key)
        if known is not None:
            return known
        name = delivery.subscription_id
        subscription = self._subscriptions.get(name)
        if subscription is None:
            subscription = self._subscriptions[name] = _Subscription(name)
        lane = subscription.lanes.get(delivery.subject)
        if lane is None:
            lane = subscription.lanes[delivery.subject] = _Lane(subscription, delivery.subject)
        insort(lane.waiting, delivery, key=_place)
        self._pending[delivery.key] = delivery
        subscription.pending += 1
        if subscription.ended:
            self._finish(lane, delivery, "ended", Outcome(reason=subscription.ended))
        elif lane.waiting[0] is delivery:
            self._arm(lane)
        return delivery

    def take(self) -> list[Step]:
        """All steps since the last call, in the order in which they happened."""
        steps = list(self._steps)
        self._steps.clear()
        self._stepped.clear()
        return steps

    async def stepped(self) -> None:
        """Returns once `take` has something to give."""
        await self._stepped.wait()

    async def settled(
        self, deliveries: Iterable[Delivery], timeout: float
    ) -> tuple[list[Delivery], list[Delivery]]:
        """Wait up to `timeout` seconds for `deliveries`; returns the finished (see `verdict`) and the rest.

        Returns early once none of the rest can finish in time, because its lane is waiting for longer.
        """
        everything = list(deliveries)
        deadline = self._clock.now() + timeout
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                for delivery in everything:
                    while lane := self._worth_waiting(delivery, deadline):
                        await lane.changed.next()
        finished = [one for one in everything if one.verdict is not None]
        return finished, [one for one in everything if one.verdict is None]

    def pending(self) -> dict[str, int]:
        """Deliveries not yet over, by subscription."""
        return {name: one.pending for name, one in self._subscriptions.items() if one.pending}

    def full(self, subscription_id: str) -> bool:
        """Whether the caller should read no more for it for now."""
        subscription = self._subscriptions.get(subscription_id)
        return subscription is not None and subscription.pending >= self._limits.pending

    async def room(self, subscription_id: str) -> None:
        """Returns once it is no longer `full`."""
        while self.full(subscription_id):
            await self._subscriptions[subscription_id].shrunk.next()

    def drop_subscription(self, subscription_id: str, reason: str = "the subscription ended") -> None:
        """End all its deliveries as `ended`, with `reason`; those under way may still turn out delivered."""
        subscription = self._subscriptions.get(subscription_id)
        if subscription is None:
            return
        subscription.ended = reason
        for lane in list(subscription.lanes.values()):
            for delivery in [one for one in lane.waiting if one is not lane.running]:
                self._finish(lane, delivery, "ended", Outcome(reason=reason))

    async def drop(self, topic: str, partition: int) -> list[Delivery]:
        """Forget what came from a partition that is no longer ours, and return it.

        No steps follow for it; those from before are still there to `take`.
        Attempts under way are cut off before this returns: one that arrived after the partition's next owner
        had gone on would be out of order.
        """
        mine = [one for one in self._pending.values() if (one.topic, one.partition) == (topic, partition)]
        lanes = {self._lane(one) for one in mine}
        for delivery in mine:
            self._forget(self._lane(delivery), delivery)
        await self._cut([self._tasks[one] for one in mine if one in self._tasks])
        for lane in lanes:
            self._arm(lane)
        return mine

    async def stop(self, timeout: float) -> list[Delivery]:
        """Start nothing more, give attempts under way `timeout` seconds, and cut off the rest.

        Returns what is not over. Steps that happened meanwhile are still there to `take`.
        """
        self._stopped = True
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=timeout)
            await self._cut(list(self._tasks.values()))
        for delivery in self._pending.values():
            lane = self._lane(delivery)
            _disarm(lane)
            lane.changed.fire()
        return list(self._pending.values())

    def _lane(self, delivery: Delivery) -> _Lane:
        return self._subscriptions[delivery.subscription_id].lanes[delivery.subject]

    def _worth_waiting(self, delivery: Delivery, deadline: float) -> _Lane | None:
        """The lane of `delivery`, if anything there can still happen by `deadline`."""
        if self._pending.get(delivery.key) is not delivery:
            return None
        lane = self._lane(delivery)
        starts = not self._stopped and _due(lane) <= deadline
        return lane if lane.running or starts else None

    def _arm(self, lane: _Lane) -> None:
        """Have the head of `lane` tried when it is due, unless it is under way or queued for a place."""
        _disarm(lane)
        if self._stopped or lane.running or lane.queued or not lane.waiting:
            return
        if self._is_due(lane):
            lane.queued = True
            lane.subscription.ready.append(lane)
            self._start(lane.subscription)
        else:
            lane.timer = self._clock.call_at(_due(lane), self._arm, lane)

    def _is_due(self, lane: _Lane) -> bool:
        return _due(lane) <= self._clock.now() + _EARLY_S

    def _start(self, subscription: _Subscription) -> None:
        """Begin attempts while there are heads that are due and places free."""
        while subscription.ready and subscription.running < self._limits.concurrency and not self._stopped:
            lane = subscription.ready.popleft()
            lane.queued = False
            if not lane.waiting:  # dropped meanwhile
                continue
            head = lane.waiting[0]
            if not self._is_due(lane):  # it came in ahead of the one that was queued, or there is a pause
                self._arm(lane)
                continue
            lane.running = head
            subscription.running += 1
            task = self._tasks[head] = asyncio.create_task(self._attempt(head))
            # A callback, not a `finally` in the task: one that is cancelled before it began runs none.
            task.add_done_callback(partial(self._attempted, lane, head))

    async def _attempt(self, delivery: Delivery) -> Outcome:
        try:
            return await self._send(delivery)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the event must not be lost for it
            return Outcome(reason=type(error).__name__)

    def _attempted(self, lane: _Lane, delivery: Delivery, task: asyncio.Task[Outcome]) -> None:
        del self._tasks[delivery]
        lane.running = None
        lane.subscription.running -= 1
        if self._pending.get(delivery.key) is delivery:
            if task.cancelled():  # by `stop`, or with the whole loop: it stays pending, for after a restart
                return
            self._judge(lane, delivery, task.result())
        self._arm(lane)
        self._tidy(lane)
        self._start(lane.subscription)

    def _judge(self, lane: _Lane, delivery: Delivery, outcome: Outcome) -> None:
        attempt = delivery.attempts + 1
        name = f"{delivery.subscription_id}/{delivery.event_id}"
        now = self._clock.now()
        following = self._schedule.decide(name, attempt, outcome, now)
        self._pause(lane.subscription, now + self._schedule.pause(outcome))
        if following.verdict == "delivered":
            self._finish(lane, delivery, "delivered", outcome)
            return
        delivery.attempts = attempt
        if lane.subscription.ended:
            self._finish(lane, delivery, "ended", outcome)
        elif following.verdict == "attempt-failed":
            delivery.due = following.due
            self._note(Step(delivery, "attempt-failed", attempt, outcome, now, following.due))
            lane.changed.fire()
        else:
            self._finish(lane, delivery, following.verdict, outcome)
            if following.verdict == "ended":
                self.drop_subscription(delivery.subscription_id, outcome.reason or f"HTTP {outcome.status}")

    def _pause(self, subscription: _Subscription, until: float) -> None:
        """Heads that become due meanwhile find out when they would start."""
        if until > max(subscription.paused, self._clock.now()):
            subscription.paused = until
            for lane in subscription.lanes.values():
                lane.changed.fire()  # `settled` may have nothing to wait for any more

    def _finish(self, lane: _Lane, delivery: Delivery, verdict: Verdict, outcome: Outcome) -> None:
        delivery.verdict = verdict
        attempt = delivery.attempts + (verdict == "delivered")
        self._note(Step(delivery, verdict, attempt, outcome, self._clock.now()))
        self._forget(lane, delivery)

    def _note(self, step: Step) -> None:
        self._steps.append(step)
        self._stepped.set()

    def _forget(self, lane: _Lane, delivery: Delivery) -> None:
        del self._pending[delivery.key]
        lane.waiting.remove(delivery)
        lane.subscription.pending -= 1
        if lane.subscription.pending < self._limits.pending:
            lane.subscription.shrunk.fire()
        lane.changed.fire()
        self._tidy(lane)

    def _tidy(self, lane: _Lane) -> None:
        """Drop a lane with nothing in it, and a subscription without lanes: subjects are without number."""
        if lane.waiting or lane.running:
            return
        _disarm(lane)
        subscription = lane.subscription
        if subscription.lanes.get(lane.subject) is lane:
            del subscription.lanes[lane.subject]
        if not subscription.lanes and self._subscriptions.get(subscription.id) is subscription:
            del self._subscriptions[subscription.id]

    async def _cut(self, tasks: list[asyncio.Task[Outcome]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _place(delivery: Delivery) -> tuple[int, int]:
    return delivery.place


def _due(lane: _Lane) -> float:
    return max(lane.waiting[0].due, lane.subscription.paused)


def _disarm(lane: _Lane) -> None:
    if lane.timer is not None:
        lane.timer.cancel()
        lane.timer = None
