"""Deliveries in order: one at a time per recipient and subject, all others side by side.

A lane holds what one recipient is to get about one subject, in order of the inbox. Only its head is tried;
while the head waits for its next attempt, the others of its lane wait with it and no other lane does. Each
recipient has its own places for attempts under way, so that one that hangs holds up nobody else. One that
asks for time with a 429 or 503 gets it for all its lanes.

One that failed many times in a row is *away*: nothing new is begun for it but one attempt a minute, to find out
when it is back. Then all that waits is tried at once, not at the end of a wait of hours, and who fails nevertheless
has lost no attempt by it. What was begun before goes on by its schedule meanwhile. What is refused for itself, for
good, says nothing of who was to get it.
"""

from __future__ import annotations

import asyncio
import math
from bisect import insort
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from hub.delivery.clock import Clock
from hub.delivery.delivery import Delivery, Key, Step
from hub.delivery.lane import Lane, Owner
from hub.delivery.schedule import Outcome, Schedule, Verdict

Send = Callable[[Delivery], Awaitable[Outcome]]

# Epoch seconds in a float are exact to a quarter of a microsecond; a timer may fire that much early.
_EARLY_S = 0.001
# Between looks at a recipient that is away: twice as long each time, up to the longest.
_FIRST_LOOK_S = 5.0
_LONGEST_LOOK_S = 60.0
# Likewise between additions to look with, where all that there is failed before. Each is tried again by its schedule.
_FIRST_NEW_S = 60.0
_LONGEST_NEW_S = 3_600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """`concurrency` attempts under way per recipient; after `away_after` failures in a row it is away."""

    concurrency: int = 16
    away_after: int = 16


class Lanes:
    """Delivers what is added, by `send`, as `schedule` says. Belongs to one event loop.

    Each step comes out of `take` once. `send` may raise: that is a failed attempt like any other, named by
    the exception's class alone, since its text may hold anything.
    """

    def __init__(self, send: Send, schedule: Schedule, clock: Clock, limits: Limits | None = None) -> None:
        self._send = send
        self._schedule = schedule
        self._clock = clock
        self._limits = limits or Limits()
        self._owners: dict[str, Owner] = {}
        self._pending: dict[Key, Delivery] = {}
        self._tasks: dict[Delivery, asyncio.Task[Outcome]] = {}
        self._steps: deque[Step] = deque()
        self._stepped = asyncio.Event()
        self._stopped = False

    def __len__(self) -> int:
        """Deliveries that are not over."""
        return len(self._pending)

    def add(self, delivery: Delivery) -> Delivery:
        """Take `delivery` into its lane, at its place by offset; it is tried when it is the head and due.

        Returns it, or the one already pending with the same key: adding twice is adding once. How many there
        may be is the caller's affair. Raises RuntimeError after `stop`.
        """
        if self._stopped:
            raise RuntimeError("the lanes are stopped and take nothing more")
        known = self._pending.get(delivery.key)
        if known is not None:
            return known
        owner = self._owners.get(delivery.recipient)
        if owner is None:
            owner = self._owners[delivery.recipient] = Owner(delivery.recipient)
        lane = owner.lanes.get(delivery.subject)
        if lane is None:
            lane = owner.lanes[delivery.subject] = Lane(owner, delivery.subject)
        insort(lane.waiting, delivery, key=_place)
        self._pending[delivery.key] = delivery
        owner.pending += 1
        if owner.ended:
            self._finish(lane, delivery, "ended", Outcome(reason=owner.ended))
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
        """Deliveries not yet over, by recipient."""
        return {name: one.pending for name, one in self._owners.items() if one.pending}

    def beside(self, delivery: Delivery) -> Sequence[Delivery]:
        """All of the lane of one that is pending, itself included, in order."""
        return self._lane(delivery).waiting

    def away(self, recipient: str) -> bool:
        """Whether nothing new should be added for it for now.

        Where all that there is failed before, each perhaps for itself, something new is needed to look with.
        """
        owner = self._owners.get(recipient)
        if owner is None or not self._is_away(owner):
            return False
        return self._clock.now() < owner.new_at or any(lane.fresh for lane in owner.lanes.values())

    def end(self, recipient: str, reason: str = "the subscription ended") -> None:
        """End all deliveries of a recipient as `ended`; those under way may still turn out delivered."""
        owner = self._owners.get(recipient)
        if owner is None:
            return
        owner.ended = reason
        for lane in list(owner.lanes.values()):
            for delivery in [one for one in lane.waiting if one is not lane.running]:
                self._finish(lane, delivery, "ended", Outcome(reason=reason))

    def give_up(self, delivery: Delivery, outcome: Outcome) -> None:
        """Make it a dead letter, unless it is under way or over."""
        if self._pending.get(delivery.key) is delivery and delivery not in self._tasks:
            lane = self._lane(delivery)
            self._finish(lane, delivery, "dead-lettered", outcome)
            self._arm(lane)

    async def stop(self, timeout: float) -> list[Delivery]:
        """Start nothing more, give attempts under way `timeout` seconds, and cut off the rest.

        Returns what is not over. Steps that happened meanwhile are still there to `take`.
        """
        self._stopped = True
        for owner in self._owners.values():
            owner.no_probe()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=timeout)
            await self._cut(list(self._tasks.values()))
        for delivery in self._pending.values():
            lane = self._lane(delivery)
            lane.disarm()
            lane.changed.fire()
        return list(self._pending.values())

    def _lane(self, delivery: Delivery) -> Lane:
        return self._owners[delivery.recipient].lanes[delivery.subject]

    def _worth_waiting(self, delivery: Delivery, deadline: float) -> Lane | None:
        """The lane of `delivery`, if anything there can still happen by `deadline`."""
        if self._pending.get(delivery.key) is not delivery:
            return None
        lane = self._lane(delivery)
        soonest = min(self._due(lane), lane.owner.probe_at if self._is_away(lane.owner) else math.inf)
        return lane if lane.running or (not self._stopped and soonest <= deadline) else None

    def _is_away(self, owner: Owner) -> bool:
        return owner.failed >= self._limits.away_after

    def _due(self, lane: Lane) -> float:
        head = lane.waiting[0]
        if lane.fresh and self._is_away(lane.owner):
            return math.inf
        return max(0.0 if lane.early else head.due, lane.owner.paused)

    def _arm(self, lane: Lane) -> None:
        """Have the head of `lane` tried when it is due, unless it is under way or queued for a place."""
        lane.disarm()
        if self._stopped or lane.running or lane.queued or not lane.waiting:
            return
        if self._is_due(lane):
            lane.queued = True
            lane.owner.ready.append(lane)
            self._start(lane.owner)
        elif (due := self._due(lane)) < math.inf:
            lane.timer = self._clock.call_at(due, self._arm, lane)

    def _is_due(self, lane: Lane) -> bool:
        return self._due(lane) <= self._clock.now() + _EARLY_S

    def _start(self, owner: Owner) -> None:
        """Begin attempts while there are heads that are due and places free."""
        while owner.ready and owner.running < self._limits.concurrency and not self._stopped:
            lane = owner.ready.popleft()
            lane.queued = False
            if not lane.waiting or lane.running:  # over meanwhile, or tried as a probe
                continue
            if self._is_due(lane):
                self._begin(lane)
            else:  # another came in ahead of the one that was queued, or there is a pause
                self._arm(lane)

    def _begin(self, lane: Lane, *, counted: bool = True) -> None:
        head = lane.running = lane.waiting[0]
        if lane.early:
            lane.early, lane.hurried = False, head
            counted = head.due <= self._clock.now() + _EARLY_S
        lane.disarm()
        lane.owner.running += 1
        task = self._tasks[head] = asyncio.create_task(self._attempt(head))
        # A callback, not a `finally` in the task: one that is cancelled before it began runs none.
        task.add_done_callback(partial(self._attempted, lane, head, counted))

    async def _attempt(self, delivery: Delivery) -> Outcome:
        try:
            return await self._send(delivery)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the event must not be lost for it
            return Outcome(reason=type(error).__name__)

    def _attempted(self, lane: Lane, delivery: Delivery, counted: bool, task: asyncio.Task[Outcome]) -> None:
        del self._tasks[delivery]
        lane.running = None
        lane.owner.running -= 1
        if self._pending.get(delivery.key) is delivery:
            if task.cancelled():  # by `stop`, or with the whole loop: it stays pending, for after a restart
                return
            self._judge(lane, delivery, counted, task.result())
        self._arm(lane)
        self._tidy(lane)
        self._start(lane.owner)

    def _judge(self, lane: Lane, delivery: Delivery, counted: bool, outcome: Outcome) -> None:
        attempt = delivery.attempts + 1
        owner, now = lane.owner, self._clock.now()
        following = self._schedule.decide(f"{owner.id}/{delivery.event_id}", attempt, outcome, now)
        self._pause(owner, now + self._schedule.pause(outcome))
        if following.verdict == "delivered":
            self._finish(lane, delivery, "delivered", outcome)
            self._answered(owner)
            return
        if outcome.final:
            self._learned_nothing(owner)
        else:
            self._unanswered(owner)
        over = owner.ended or outcome.final or following.verdict == "ended"
        if not counted and not over:  # its own schedule goes on as if nothing had been
            self._note(Step(delivery, "attempt-failed", delivery.attempts, outcome, now, delivery.due, False))
            lane.changed.fire()
            return
        delivery.attempts, lane.hurried = attempt, None
        if owner.ended:
            self._finish(lane, delivery, "ended", outcome)
        elif following.verdict == "attempt-failed":
            delivery.due = following.due
            self._note(Step(delivery, "attempt-failed", attempt, outcome, now, following.due))
            lane.changed.fire()
        else:
            self._finish(lane, delivery, following.verdict, outcome)
            if following.verdict == "ended":
                self.end(owner.id, outcome.reason or f"HTTP {outcome.status}")

    def _pause(self, owner: Owner, until: float) -> None:
        """Heads that become due meanwhile find out when they would start."""
        if until > max(owner.paused, self._clock.now()):
            owner.paused = until
            for lane in owner.lanes.values():
                lane.changed.fire()  # `settled` may have nothing to wait for any more

    def _unanswered(self, owner: Owner) -> None:
        owner.failed += 1
        if owner.failed == self._limits.away_after:
            owner.probe_wait = _FIRST_LOOK_S
            self._plan_probe(owner)
            for lane in owner.lanes.values():
                lane.early = False
                lane.changed.fire()

    def _learned_nothing(self, owner: Owner) -> None:
        """A look at one that is away may have met this: the next is due."""
        if self._is_away(owner):
            owner.probe_wait = 0.0
            self._plan_probe(owner)

    def _answered(self, owner: Owner) -> None:
        back, owner.failed = self._is_away(owner), 0
        owner.new_at = owner.new_wait = 0.0
        owner.no_probe()
        if back:
            idle = [lane for lane in owner.lanes.values() if lane.waiting and not lane.running]
            for lane in sorted(idle, key=lambda one: one.waiting[0].place):
                head = lane.waiting[0]
                # Once: who fails for itself would be tried again at each return, and be who makes it away again.
                lane.early = bool(head.attempts) and lane.hurried is not head
                self._arm(lane)

    def _plan_probe(self, owner: Owner) -> None:
        owner.no_probe()
        if self._stopped:
            return
        wait = owner.probe_wait / self._schedule.speed
        owner.probe_wait = min(max(2 * owner.probe_wait, _FIRST_LOOK_S), _LONGEST_LOOK_S)
        owner.probe_at = max(self._clock.now() + wait, owner.paused)
        owner.probe = self._clock.call_at(owner.probe_at, self._probe, owner)

    def _probe(self, owner: Owner) -> None:
        """See whether one that is away is back: by something new, or else by an attempt that does not count."""
        idle = [lane for lane in owner.lanes.values() if lane.waiting and not lane.running]
        if idle and owner.paused <= self._clock.now() + _EARLY_S:
            lane = next((one for one in idle if one.fresh), idle[0])
            owner.lanes[lane.subject] = owner.lanes.pop(lane.subject)  # the next time it is another's turn
            if lane.fresh:
                owner.new_wait = min(max(2 * owner.new_wait, _FIRST_NEW_S), _LONGEST_NEW_S)
                owner.new_at = self._clock.now() + owner.new_wait / self._schedule.speed
            self._begin(lane, counted=lane.fresh)
        self._plan_probe(owner)

    def _finish(self, lane: Lane, delivery: Delivery, verdict: Verdict, outcome: Outcome) -> None:
        delivery.verdict = verdict
        attempt = delivery.attempts + (verdict == "delivered")
        self._note(Step(delivery, verdict, attempt, outcome, self._clock.now()))
        self._forget(lane, delivery)

    def _note(self, step: Step) -> None:
        self._steps.append(step)
        self._stepped.set()

    def _forget(self, lane: Lane, delivery: Delivery) -> None:
        del self._pending[delivery.key]
        lane.waiting.remove(delivery)
        lane.owner.pending -= 1
        lane.changed.fire()
        self._tidy(lane)

    def _tidy(self, lane: Lane) -> None:
        """Drop a lane with nothing in it, and a recipient without lanes: subjects are without number."""
        if lane.waiting or lane.running:
            return
        lane.disarm()
        owner = lane.owner
        if owner.lanes.get(lane.subject) is lane:
            del owner.lanes[lane.subject]
        if not owner.lanes and self._owners.get(owner.id) is owner:
            owner.no_probe()
            del self._owners[owner.id]

    async def _cut(self, tasks: list[asyncio.Task[Outcome]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _place(delivery: Delivery) -> tuple[int, int]:
    return delivery.place
