"""The deliver stage under any order of events, failures, crashes and rebalances; and its cursors against a model."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.delivery.cursor import Bounds, Cursor, Standing
from hub.delivery.delivery import Delivery
from hub.delivery.lanes import Limits
from hub.delivery.message import Message
from hub.delivery.schedule import Outcome
from tests.schedules import schedules
from tests.stream.delivering_world import START, Recipient, Recipients, SimulatedKafka, Worker, until

Simulate = Callable[[Coroutine[Any, Any, None]], None]

DAY = 86_400.0
BOUNDS = Bounds(fresh=3, open=5)
SUBJECTS = ("a", "b", "c")

actions = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.sampled_from(SUBJECTS), min_size=1, max_size=8)),
        st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.004, 0.02, 0.15, 0.3, 6.0, 400.0])),
        st.tuples(st.just("down"), st.sampled_from([0, 1])),
        st.tuples(st.just("up"), st.sampled_from([0, 1])),
        st.tuples(st.just("slow"), st.sampled_from([0, 1])),
        st.tuples(st.just("fail"), st.sampled_from([*SUBJECTS, ""])),
        st.tuples(st.just("refuse"), st.sampled_from([*SUBJECTS, ""])),
        st.tuples(st.just("kafka"), st.booleans()),
        st.tuples(st.just("kill"), st.none()),
        st.tuples(st.just("rebalance"), st.none()),
        st.tuples(st.just("join"), st.none()),
    ),
    min_size=5,
    max_size=40,
)


@dataclass
class Play:
    """Actions as they are drawn, and what must come of them."""

    kafka: SimulatedKafka = field(default_factory=lambda: SimulatedKafka(page=4))
    recipients: Recipients = field(
        default_factory=lambda: Recipients(Recipient("r0"), Recipient("r1", slow=0.1))
    )
    failing: str = ""
    refused: str = ""
    forgotten: set[tuple[str, tuple[int, int]]] = field(default_factory=set)
    worker: Worker | None = None

    def answer(self, message: Message) -> Outcome:
        if message.subject == self.refused:
            return Outcome(reason="no body can be made of it", final=True)
        return Outcome(500 if message.subject == self.failing else 204)

    async def begin(self) -> None:
        self.worker = Worker(
            self.kafka, self.recipients, bounds=BOUNDS, limits=Limits(concurrency=2, away_after=3), batch=3
        )
        await self.worker.__aenter__()

    async def act(self, action: str, what: Any) -> None:
        assert self.worker is not None
        match action:
            case "put":
                for subject in what:
                    self.kafka.put("inbox.x", SUBJECTS.index(subject) % 2, subject)
            case "wait":
                await asyncio.sleep(what)
            case "down" | "up":
                self.recipients.all[what].down = action == "down"
            case "slow":
                self.recipients.all[what].slow = 5.0
            case "fail":
                self.failing = what
            case "refuse":
                self.refused = what
            case "kafka":
                self.kafka.away = what
            case "join":
                now = START + asyncio.get_running_loop().time()
                new = Recipient(f"r{len(self.recipients.all)}", created=now, outcome=self.answer)
                self.recipients.all.append(new)
                self.worker.delivering.changed()
            case "rebalance" if not self.kafka.away:
                await self.worker.rebalance()
            case "kill":
                self.forgotten |= self.unwritten()
                await self.worker.kill()
                await self.begin()
        open_, held = self.worker.held()
        assert open_ <= BOUNDS.open
        assert held <= BOUNDS.fresh + 2  # and those that are tried again just now

    async def finish(self) -> None:
        assert self.worker is not None
        self.failing, self.refused, self.kafka.away = "", "", False
        for one in self.recipients.all:
            one.down, one.slow = False, 0.01
        await until(
            lambda: all(self.over_for(one) >= self.wanted(one) for one in self.recipients.all), 3 * DAY, 20
        )
        level = dict.fromkeys(
            [(one.id, "inbox.x", part) for one in self.recipients.all for part in (0, 1)], Standing()
        )
        await until(lambda: self.kafka.standings == level, 3 * DAY, 20)
        await self.worker.stop()
        assert self.kafka.standings == level

    def over_for(self, one: Recipient) -> set[tuple[int, int]]:
        """What it took, and what became a dead letter."""
        return {*one.places, *(place for recipient, place in self.kafka.letters if recipient == one.id)}

    def unwritten(self) -> set[tuple[str, tuple[int, int]]]:
        """What was taken and is not over as Kafka has it: who comes next tries it again."""
        return {
            (one.id, place) for one in self.recipients.all for place in one.places if self.owes(one, *place)
        }

    def owes(self, one: Recipient, partition: int, offset: int) -> bool:
        standing = self.kafka.standings.get((one.id, "inbox.x", partition))
        if standing is None:  # it has all since it was made
            return True
        position = self.kafka.positions[("inbox.x", partition)]
        still_open = {*standing.fresh, *(tried[0] for tried in standing.tried)}
        return offset in still_open or offset >= (position if standing.next is None else standing.next)

    def wanted(self, one: Recipient) -> set[tuple[int, int]]:
        return {
            (partition, read.offset)
            for (_, partition), log in self.kafka.logs.items()
            for read in log
            if read.timestamp >= int(one.created * 1000)
        }


@given(actions=actions)
@settings(max_examples=schedules(500), deadline=None)
def test_whatever_happens_each_gets_all_that_is_for_it_in_order_and_holds_little(
    simulate: Simulate, actions: list[tuple[str, Any]]
) -> None:
    async def run() -> None:
        play = Play()
        for one in play.recipients.all:
            one.outcome = play.answer
        await play.begin()
        for action, what in actions:
            await play.act(action, what)
        await play.finish()
        taken = Counter((one.id, place) for one in play.recipients.all for place in one.places)
        for one in play.recipients.all:
            assert play.over_for(one) == play.wanted(one)
            assert one.in_order()
        letters = play.kafka.letters
        assert len(letters) == len(set(letters)), "set aside twice"
        # Only what was over and not written when a worker was killed comes again, and may fail then.
        again = {one for one, times in taken.items() if times > 1} | (set(letters) & taken.keys())
        assert again <= play.forgotten

    simulate(run())


@given(st.data())
@settings(max_examples=schedules(300), deadline=None)
def test_a_cursor_restored_owes_exactly_what_was_not_over(data: st.DataObject) -> None:
    """A model that remembers every offset: what a restart would deliver is what is not over, and nothing else."""
    first = data.draw(st.integers(0, 5))  # where the inbox was when the recipient was made
    cursor = Cursor(("r", "inbox.x", 0), first)
    over = set(range(first))
    taken = position = 0
    for _ in range(data.draw(st.integers(0, 30))):
        match data.draw(st.sampled_from(["batch", "feed", "over", "fail", "pass", "restart"])):
            case "batch":
                level, taken = cursor.next >= taken, taken + data.draw(st.integers(1, 4))
                if level:
                    _admit(cursor, taken, over, data.draw(st.integers(0, 3)))
            case "feed":
                _admit(cursor, taken, over, data.draw(st.integers(0, 3)))
            case "over" if cursor.open:
                offset = data.draw(st.sampled_from(sorted(cursor.open)))
                cursor.close(cursor.open[offset])
                over.add(offset)
            case "fail" if cursor.open:
                one = cursor.open[data.draw(st.sampled_from(sorted(cursor.open)))]
                one.attempts, one.due = one.attempts + 1, 5.0
                cursor.let_go(one)
            case "pass":
                position = data.draw(st.integers(position, taken))
            case "restart":
                standing = Standing.from_bytes(cursor.standing(taken, position).to_bytes())
                end = position if standing.next is None else standing.next
                tried = {one.offset: one.attempts for one in cursor.open.values() if one.attempts}
                cursor = Cursor.restored(cursor.owner, standing, position)
                again = {*cursor.owed, *range(cursor.next, taken)}
                assert set(range(position)) - over <= again, "lost"
                # Repeated is at most what the group has not passed, and only where the cursor goes with it.
                assert again & over <= set(range(end, taken))
                assert not again & set(range(first))
                owed = {offset: attempts for offset, (attempts, _) in cursor.owed.items() if attempts}
                assert owed == {offset: attempts for offset, attempts in tried.items() if offset < end}
                over -= again
                taken = position
                for offset, (attempts, due) in list(cursor.owing(0, 1_000)):
                    cursor.hold(_delivery(offset, attempts, due), _message(offset))
        held = [one.message for one in cursor.open.values() if one.message is not None]
        assert (cursor.held, cursor._held_bytes) == (len(held), sum(len(one.value) for one in held))


def _admit(cursor: Cursor, end: int, over: set[int], most: int) -> None:
    """Up to `most` of what is next: as the stage does when there is room for so many."""
    for offset in range(cursor.next, end):
        if not most:
            cursor.next = offset
            return
        most -= 1
        cursor.hold(_delivery(offset), _message(offset))
    cursor.next = max(cursor.next, end)


def _delivery(offset: int, attempts: int = 0, due: float = 0.0) -> Delivery:
    return Delivery("r", "s", f"e{offset}", "inbox.x", 0, offset, attempts, due)


def _message(offset: int) -> Message:
    return Message(("inbox.x", 0, offset), {}, b"x", 0)
