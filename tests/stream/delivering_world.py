"""The deliver stage in simulated time: a Kafka of lists, recipients that do as they are told, workers that die.

What is simulated is what the stage stands on (`Outside`): the stage, its lanes and cursors are the real ones.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hub.delivery.clock import LoopClock, Timer
from hub.delivery.cursor import Owner, Standing
from hub.delivery.dead_letter import DeadLetter
from hub.delivery.lanes import Lanes, Limits
from hub.delivery.message import Message
from hub.delivery.schedule import Outcome, Schedule
from hub.journal.entry import entries
from hub.stream import topics
from hub.stream.delivering import Delivering
from hub.stream.feeding import Outside
from hub.stream.records import Batch, Fence, Output, Place, Positions, Read
from hub.stream.stretch import Stretch
from hub.stream.verdicts import Refused

START = 1_700_000_000.0
DAY = 86_400.0
OK = Outcome(204)
DOWN = Outcome(reason="no connection")


@dataclass
class SimulatedKafka:
    """Inboxes, the group's positions, and what deliveries left behind; one worker at a time may write."""

    logs: dict[tuple[str, int], list[Read]] = field(default_factory=lambda: defaultdict(list))
    positions: Positions = field(default_factory=dict)
    standings: dict[Owner, Standing] = field(default_factory=dict)
    journal: list[tuple[str, str, int]] = field(default_factory=list)
    letters: list[tuple[str, tuple[int, int]]] = field(default_factory=list)
    receipts: list[Output] = field(default_factory=list)
    written: int = 0  # records in `hub.deliveries`
    commits: int = 0
    reads: int = 0
    generation: int = 0
    away: bool = False
    sealed: bool = False  # it can be read and not be written, as where too few replicas are in sync
    page: int = 16
    slowness: float = 0.002
    appended: asyncio.Event = field(default_factory=asyncio.Event)

    def put(
        self, topic: str, partition: int, subject: str, kind: str = "a.b.happened", only: str = ""
    ) -> int:
        """Append an event; its offset. Every seventh offset is a marker."""
        log = self.logs[topic, partition]
        offset = log[-1].offset + 1 if log else 0
        offset += offset % 7 == 6
        texts = {"ce_id": f"{partition}-{offset}", "ce_subject": subject, "ce_type": kind, "hub-only": only}
        headers = [(name, text.encode()) for name, text in texts.items() if text]
        now = int(1000 * (START + asyncio.get_running_loop().time()))
        log.append(Read(topic, partition, offset, now, subject.encode(), b"x" * 10, headers))
        self.appended.set()
        self.appended = asyncio.Event()
        return offset

    def read(self, place: Place, start: int, most: int) -> list[Read]:
        """Some records from an offset on."""
        log = self.logs[place]
        first = bisect_left(log, start, key=lambda one: one.offset)
        return log[first : first + most]

    def drop_before(self, topic: str, partition: int, offset: int) -> None:
        """What retention does."""
        log = self.logs[topic, partition]
        self.logs[topic, partition] = [one for one in log if one.offset >= offset]

    async def stretch(self, place: Place, start: int, end: int) -> Stretch | None:
        """As `KafkaInboxes`."""
        await asyncio.sleep(self.slowness)
        self.reads += 1
        if self.away:
            return None
        found = self.read(place, start, self.page + 1)
        if len(found) > self.page:
            end = min(end, found[self.page - 1].offset + 1)
        found = [one for one in found if one.offset < end]
        return Stretch(place, start, end, found)

    async def first_since(self, place: Place, since: float) -> int | None:
        """As `KafkaInboxes`."""
        await asyncio.sleep(self.slowness)
        if self.away:
            return None
        log = self.logs[place]
        first = bisect_left(log, int(since * 1000), key=lambda one: one.timestamp)
        return log[first].offset if first < len(log) else (log[-1].offset + 1 if log else 0)

    async def standings_of(self, partitions: Iterable[int]) -> Mapping[Owner, Standing]:
        await asyncio.sleep(self.slowness)
        wanted = set(partitions)
        return {owner: standing for owner, standing in self.standings.items() if owner[2] in wanted}

    async def commit(self, outputs: Sequence[Output], positions: Positions, fence: Fence) -> bool:
        """As `KafkaCommitter`."""
        await self.rehearse(outputs)
        if fence.generation != self.generation:
            return False
        self.commits += 1
        for place, position in positions.items():
            assert position >= self.positions.get(place, 0), "the group went back"
            self.positions[place] = position
        for output in outputs:
            self._write(output, positions)
        await asyncio.sleep(self.slowness)
        return True

    async def rehearse(self, outputs: Sequence[Output]) -> None:
        """As `KafkaCommitter`."""
        while self.away or self.sealed:
            await asyncio.sleep(0.5)
        if any(output.value == b"refused" for output in outputs):
            raise Refused("MSG_SIZE_TOO_LARGE")
        await asyncio.sleep(self.slowness)

    def _write(self, output: Output, positions: Positions) -> None:
        if output.topic == topics.DELIVERIES:
            self.written += 1
            recipient, topic, partition = output.key.decode().rsplit("/", 2)
            assert int(partition) == output.partition
            owner = (recipient, topic, int(partition))
            assert owner[1:] in positions, "who takes the partition over would not wait for this"
            if output.value is None:
                self.standings.pop(owner, None)
            else:
                self.standings[owner] = Standing.from_bytes(output.value)
        elif output.topic == topics.JOURNAL:
            found = entries(output.value or b"")
            self.journal += [(one.outcome, one.subscription, one.offset) for one in found]
        elif output.topic == topics.DEAD_LETTERS:
            letter = DeadLetter.from_headers(output.headers)
            assert (letter.topic, letter.partition) in positions, "as above"
            self._compare(output, letter)
            self.letters.append((letter.subscription, (letter.partition, letter.offset)))
        else:
            self.receipts.append(output)

    def _compare(self, output: Output, letter: DeadLetter) -> None:
        """A dead letter is the record as it was, for as long as the inbox has that."""
        for one in self.logs[letter.topic, letter.partition]:
            if one.offset == letter.offset:
                assert set(one.headers) <= set(output.headers), "nobody could send it again"
                assert output.value == one.value or letter.reason_class == "refused", "as above"


class _Committer:
    def __init__(self, kafka: SimulatedKafka) -> None:
        self.commit, self.rehearse = kafka.commit, kafka.rehearse

    async def prepare(self) -> None:
        """Nothing to prepare."""

    async def finish(self) -> None:
        """Nothing to finish."""


class _Inboxes:
    def __init__(self, kafka: SimulatedKafka) -> None:
        self.stretch, self.first_since, self.standings = kafka.stretch, kafka.first_since, kafka.standings_of


@dataclass(eq=False)
class Recipient:
    """Takes everything after `slow` seconds, unless it is down; keeps account of all that arrives."""

    id: str
    created: float = 0.0
    party: str = "x"
    slow: float = 0.01
    kinds: tuple[str, ...] = ()
    down: bool = False
    outcome: Callable[[Message], Outcome] | None = None
    stage: str = "deliver"
    arrived: list[tuple[int, int, str]] = field(default_factory=list)
    taken: list[tuple[int, int, str]] = field(default_factory=list)
    taken_at: dict[tuple[int, int], float] = field(default_factory=dict)
    under_way: set[tuple[int, str]] = field(default_factory=set)

    def wants(self, event_type: str) -> bool:
        """All, or its kinds."""
        return not self.kinds or event_type in self.kinds

    def takes(self, message: Message) -> bool:
        """All that it wants."""
        return True

    async def send(self, message: Message) -> Outcome:
        """One attempt."""
        lane = (message.partition, message.subject)
        assert lane not in self.under_way, "two of one subject at the same time"
        self.under_way.add(lane)
        one = (message.partition, message.offset, message.subject)
        self.arrived.append(one)
        try:
            await asyncio.sleep(self.slow)
        finally:
            self.under_way.discard(lane)
        outcome = DOWN if self.down else self.outcome(message) if self.outcome else OK
        if outcome.ok:
            self.taken.append(one)
            self.taken_at.setdefault(one[:2], asyncio.get_running_loop().time())
        return outcome

    def gone(self, reason: str) -> list[Output]:
        """Nothing to write."""
        return []

    @property
    def places(self) -> list[tuple[int, int]]:
        """Partition and offset of what it took, in order."""
        return [one[:2] for one in self.taken]

    def in_order(self) -> bool:
        """Whether, per subject, it took no event for the first time after a later one."""
        firsts: dict[tuple[int, str], list[int]] = defaultdict(list)
        for partition, offset, subject in dict.fromkeys(self.taken):
            firsts[partition, subject].append(offset)
        return all(offsets == sorted(offsets) for offsets in firsts.values())


class Recipients:
    """Those of a hub; tell the worker of changes."""

    def __init__(self, *all_: Recipient) -> None:
        self.all = list(all_)

    def of(self, party: str) -> list[Recipient]:
        """Those of a party."""
        return [one for one in self.all if one.party == party]


_owner: ContextVar[Worker | None] = ContextVar("_owner", default=None)


class _Clock(LoopClock):
    """A clock that stops calling when its worker is dead."""

    dead = False

    def call_at(self, when: float, call: Callable[..., object], *args: Any) -> Timer:
        return super().call_at(when, lambda: None if self.dead else call(*args))


class Worker:
    """One worker with one stage, over all partitions of the inboxes in `topics`."""

    def __init__(self, kafka: SimulatedKafka, recipients: Recipients, **options: Any) -> None:
        self.kafka, self.recipients = kafka, recipients
        self._places = options.pop("places", [("inbox.x", 0), ("inbox.x", 1)])
        self._batch = options.pop("batch", 10)
        limits = options.pop("limits", Limits())
        self._clock = _Clock(START)
        outside = Outside(
            recipients,  # type: ignore[arg-type]  # a list of another class of recipients
            _Inboxes(kafka),  # type: ignore[arg-type]  # methods by another name
            _Committer(kafka),
            lambda send: Lanes(send, Schedule(), self._clock, limits),
            self._clock,
            **{"kept_s": 26 * DAY, **options},
        )
        self._positions: Positions = {}
        self._fence = Fence("hub", 0, "m")
        self.delivering = Delivering(outside, lambda: (self._fence, self._positions))
        self._tasks: set[asyncio.Task[Any]] = set()
        self._polling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Worker:
        asyncio.get_running_loop().set_task_factory(_adopting)
        _owner.set(self)
        self.running = asyncio.create_task(self.delivering.run())
        await asyncio.sleep(0)
        await self._assign()
        _owner.set(None)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """A task that belongs to this worker."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def rebalance(self) -> None:
        """All partitions are taken back, and given again."""
        _owner.set(self)
        assert self._polling is not None
        self._polling.cancel()
        await self.delivering.revoked()
        await self._assign()
        _owner.set(None)

    async def stop(self) -> None:
        """In order."""
        if self._polling is not None:
            self._polling.cancel()
        self.running.cancel()
        results = await asyncio.gather(self.running, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in results), results

    async def kill(self) -> None:
        """As SIGKILL: nothing more is written, and nothing finished."""
        self.kafka.generation += 1
        self._clock.dead = True
        while self._tasks:
            doomed = list(self._tasks)
            for task in doomed:
                task.cancel()
            await asyncio.wait(doomed, timeout=0.001)

    @property
    def tenure(self) -> Any:
        """What is known of the partitions."""
        return self.delivering._tenure

    def held(self) -> tuple[int, int]:
        """The most deliveries that one cursor has open, and the most that it holds with their messages.

        Looks, too, whether what cursors count is what there is.
        """
        cursors = [one for place in self.tenure._parts.values() for one in place.cursors.values()]
        lanes = self.tenure._feeding.lanes._pending
        for one in cursors:
            messages = [open_.message for open_ in one.open.values() if open_.message is not None]
            assert (one.held, one._held_bytes) == (len(messages), sum(len(each.value) for each in messages))
            assert all(lanes.get(open_.key, open_) is open_ for open_ in one.open.values())
        return (
            max((len(one.open) + len(one.owed) for one in cursors), default=0),
            max((one.held for one in cursors), default=0),
        )

    async def _assign(self) -> None:
        self.kafka.generation += 1
        self._fence = Fence("hub", self.kafka.generation, "m")
        self._positions = {place: self.kafka.positions.get(place, 0) for place in self._places}
        await self.delivering.assigned()
        self._polling = asyncio.create_task(self.delivering.agent(self._stream(self._fence)))

    async def _stream(self, fence: Fence) -> AsyncIterator[Batch]:
        read = dict(self._positions)
        numbers = {place: count() for place in self._places}
        while True:
            appended = self.kafka.appended
            for place in self._places:
                while found := self.kafka.read(place, read[place], self._batch):
                    read[place] = found[-1].offset + 1
                    yield Batch(*place, found, fence, next(numbers[place]))
            await appended.wait()


def _adopting(
    loop: asyncio.AbstractEventLoop, work: Any, context: Context | None = None
) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    owner = context.get(_owner) if context is not None else _owner.get()
    if owner is not None:
        owner.adopt(task)
    return task


async def until(done: Callable[[], bool], within: float, step: float = 0.05) -> None:
    """Wait for `done` to hold; fails after `within` simulated seconds."""
    for _ in range(int(within / step) + 1):
        if done():
            return
        await asyncio.sleep(step)
    raise AssertionError("it did not come to hold")
