"""A worker whose every step somebody else takes: the hub's runner, transactor and standing over a fake Kafka.

Threads are queues of calls that wait to be made, the network is `FakeKafka`, and of aiokafka and Faust there is
what they do to us: they fetch from a position, hand on through a queue, and empty that queue when partitions
are taken back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from traceback import walk_tb
from types import SimpleNamespace
from typing import Any

from hub.sdk.errors import Reject
from hub.stream.app import agent_of
from hub.stream.records import NOBODY, Batch, Fence, Output, Place, Positions, Read, Record
from hub.stream.runner import StageRunner
from hub.stream.standing import Sequel, Standing
from hub.stream.transactions import Transactor
from tests.stream.fake_kafka import GROUP, Crashed, FakeKafka, Fault

OUT = "out"


class Held(Executor):
    """Calls wait until somebody makes them, one at a time."""

    def __init__(self) -> None:
        self.waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.waiting.append((future, lambda: call(*args, **options)))
        return future

    def make(self) -> None:
        future, call = self.waiting.popleft()
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(call())
            except Exception as error:  # noqa: BLE001 - whoever waits for the call gets it
                future.set_exception(error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.waiting.clear()


class AtOnce(ThreadPoolExecutor):
    """Calls are made where they are asked for."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(call(*args, **options))
        return future


class Never:
    """Told to stop or not, and never waits."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, _seconds: float) -> bool:
        return self._set


class Numbering:
    """A stage that numbers the records of a partition through all that was written of it before.

    So it shows when what it remembers is not what was committed. It fails over `bad` records, and Kafka refuses
    what `huge` ones lead to; `none` leads to nothing. `forgetful` remembers nothing, and numbers nothing.
    """

    name = "numbering"

    def __init__(self, kafka: FakeKafka, forgetful: bool) -> None:
        self.pure = forgetful
        self.linger = 0.0
        self._kafka = kafka
        self._held: dict[Place, tuple[Fence, int]] = {}

    def process(self, batches: Sequence[Batch]) -> list[Output]:
        return [
            output
            for batch in batches
            for record in batch.records
            for output in self._of(record, batch.fence)
        ]

    def _of(self, record: Record, fence: Fence) -> list[Output]:
        value = record.value or b""
        if value.startswith(b"none"):
            return []
        number = self._number(record, fence)
        if value.startswith(b"bad"):
            raise ValueError("no record is to be this bad")
        return [_output(record, value, number)]

    def set_aside(self, batch: Batch, reject: Reject) -> list[Output]:
        (record,) = batch.records
        return [_output(record, b"letter", self._number(record, batch.fence))]

    def forget(self, batches: Iterable[Batch]) -> None:
        for batch in batches:
            self._held.pop(batch.place, None)

    def _number(self, record: Record, fence: Fence) -> int | None:
        if self.pure:
            return None
        place = (record.topic, record.partition)
        known, count = self._held.get(place, (None, 0))
        if known != fence:
            count = len(self._kafka.read((OUT, record.partition)))
        self._held[place] = (fence, count + 1)
        return count


def expected(values: Iterable[bytes | None], forgetful: bool) -> list[bytes]:
    """What must have been written of the records of one partition."""
    led = [value for value in values if value is not None and not value.startswith(b"none")]
    shown = [b"letter" if value.startswith((b"bad", b"huge")) else value for value in led]
    return shown if forgetful else [b"%s #%d" % (value, number) for number, value in enumerate(shown)]


def _found_by_itself(error: BaseException) -> bool:
    """Whether a worker died of its own check that each batch comes once and none is left out."""
    (*_, (last, _)) = walk_tb(error.__traceback__)
    return last.f_code is Sequel.check.__code__


def _output(record: Record, value: bytes, number: int | None) -> Output:
    shown = value if number is None else b"%s #%d" % (value, number)
    return Output(OUT, b"", shown, [], record.partition)


class Fetch(list[Read]):
    """Records that can be cut after each, as what aiokafka fetches can after each record batch."""

    def pieces(self, most: int) -> Iterator[tuple[Fetch, int]]:
        """No more than `most` each, with the offset that comes after."""
        for start in range(0, len(self), most):
            some = Fetch(self[start : start + most])
            yield some, some[-1].offset + 1


@dataclass(eq=False)
class Worker:
    """One life of a worker process. `member` is what its group coordinator believes."""

    name: str
    kafka: FakeKafka
    life: int
    stage: Numbering
    transactor: type[Transactor] = Transactor
    runner: type[StageRunner] = StageRunner
    standing: Standing = field(default_factory=Standing)
    member: Fence = NOBODY
    assigned: set[Place] = field(default_factory=set)
    positions: Positions = field(default_factory=dict)  # aiokafka's
    found: tuple[Fence, Positions] | None = None  # asked for, and not gone to yet
    flows: bool = False
    alive: bool = True

    def __post_init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_default_executor(AtOnce())
        self.threads: dict[str, Held] = {}
        self.on_the_way: deque[Batch] = deque()  # in Faust's queue
        self._arrived = asyncio.Event()
        transactor = self.transactor("", self.name, self.kafka.opened, self.kafka.committed, Never())  # type: ignore[arg-type]
        self.run = self.runner(self.stage, transactor, self._thread, lambda: 0.0)
        self.run._backlog.limit = 2  # so that fetches are cut, too
        app = SimpleNamespace(consumer=SimpleNamespace(fence=None))
        self._consumer = app.consumer
        self.tasks = [
            self.loop.create_task(self.run.run()),
            self.loop.create_task(agent_of(app, self.run)(self._stream())),
        ]
        self.pump()

    @property
    def name_in_group(self) -> str:
        return f"{self.name}.{self.life}"

    def _thread(self, name: str) -> Held:
        kind = "commit" if name.endswith("-commit") else "process"
        return self.threads.setdefault(kind, Held())

    async def _stream(self) -> AsyncIterator[Sequence[Batch]]:
        while True:
            while self.on_the_way:
                yield [self.on_the_way.popleft()]
            self._arrived.clear()
            await self._arrived.wait()

    # -- steps ---------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Let the event loop come to rest."""
        self._consumer.fence = self.standing.fence

        async def rest() -> None:
            for _ in range(12):
                await asyncio.sleep(0)

        self.loop.run_until_complete(rest())
        for task in self.tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                if _found_by_itself(error):
                    raise AssertionError("a worker found its batches out of turn") from error
                raise error  # a mistake of ours, by which nothing is found

    def fetch(self, place: Place, count: int) -> None:
        """What aiokafka has fetched of a place comes to Faust's queue."""
        start = self.positions[place]
        taken = self.kafka.log[place][start : start + count]
        records = Fetch(
            Read(*place, start + at, 0, b"", value, []) for at, value in enumerate(taken) if value is not None
        )
        self.positions[place] = start + len(taken)
        batch = self.standing.batch(self.member, place, records, start + len(taken))
        if batch is not None:
            self.on_the_way.append(batch)

    def hand_on(self) -> None:
        """Faust's queue goes to the agent."""
        self._arrived.set()
        self.pump()

    def make(self, kind: str, plan: Iterable[Fault] = ()) -> None:
        """One call on a thread of the stage, with what is to go wrong in it."""
        self.kafka.plan = list(plan)
        try:
            self.threads[kind].make()
        except Crashed:
            self.die()
        finally:
            self.kafka.plan = []
        if self.alive:
            self.pump()

    def revoked(self) -> None:
        """Partitions are taken back; Faust empties its queue."""
        self.standing.end()
        self.flows = False
        self.found = None
        self.on_the_way.clear()
        self.pump()

    def ask(self) -> None:
        """Read where our transactions ended."""
        found = self.kafka.committed("", GROUP, sorted(self.assigned))
        self.found = (
            self.member,
            {place: found[place].offset if place in found else 0 for place in self.assigned},
        )

    def begin(self) -> None:
        """Go there, unless the membership has changed meanwhile."""
        assert self.found is not None
        fence, positions = self.found
        self.found = None
        if fence == self.member:
            self.seek(positions)
            self.standing.begin(fence, positions)
            self.flows = True
            self.pump()

    def seek(self, positions: Positions) -> None:
        self.positions = dict(positions)

    def die(self) -> None:
        """SIGKILL: whatever Kafka believes of it stays as it is."""
        self.alive = False
        for thread in self.threads.values():
            thread.shutdown()
        for task in self.tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*self.tasks, return_exceptions=True))
        self.loop.close()
