"""What the hub can do on a cluster, measured on topics of its own, which are there for as long as it takes."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorNotAvailableError, KafkaError

from hub.events.envelope import Event
from hub.events.ids import derive
from hub.events.kafka import to_headers
from hub.registry.codec import encode
from hub.registry.schemas import Registry
from hub.routes.engine import Engine
from hub.stream import memory, topics
from hub.stream.app import make_app
from hub.stream.ingest import Ingest, KafkaAway
from hub.stream.records import NOBODY, Fence, Output, Outputs, Positions
from hub.stream.routing import Routing
from hub.stream.runner import StageRunner
from hub.stream.transactions import Transactor, open_producer

_WARM = 0.1  # of the events, before the clock starts
_AT_ONCE = 5_000  # events on their way to Kafka


class Unmeasurable(Exception):
    """The cluster is not there, or does not let us; the message says so in Kafka's words."""


@dataclass(frozen=True, slots=True)
class Routed:
    """How fast one worker routes: events per second, its CPU seconds per million, and what became of them."""

    events: int
    outputs: int
    per_second: float
    cpu_seconds_per_million: float


class Bench:
    """Topics and a group of its own on the cluster at `servers`; see `bench`."""

    def __init__(self, servers: str, prefix: str) -> None:
        self._servers = servers
        self._prefix = prefix
        self._source, self._target = f"{prefix}-in", f"{prefix}-out"

    async def accepts(self, count: int) -> list[float]:
        """Seconds until a record is on every in-sync replica, `count` times: what a webhook waits."""
        ingest, took = Ingest(self._servers, 1), []
        try:
            for at in range(count):
                began = time.perf_counter()
                await ingest.put(Output(self._target, b"%d" % at, bytes(1_000)))
                took.append(time.perf_counter() - began)
        finally:
            ingest.close()
        return took

    def transactions(self, count: int) -> list[float]:
        """Seconds that a transaction of one record takes, `count` times: what an event waits at every stage."""
        producer, took = open_producer(self._servers, f"{self._prefix}-single"), []
        try:
            for at in range(count):
                began = time.perf_counter()
                producer.write([Output(self._target, b"%d" % at, bytes(1_000))], {}, "", NOBODY)
                took.append(time.perf_counter() - began)
        finally:
            producer.close()
        return took

    async def fill(self, events: Sequence[Event], registry: Registry, count: int) -> None:
        """Write `count` events after these, each under an id of its own."""
        values = [encode(registry.by_type(event.envelope.type), event.data) for event in events]
        each = cycle(zip(events, values, strict=True))
        ingest = Ingest(self._servers, _AT_ONCE)
        try:
            for start in range(0, count, _AT_ONCE):
                some = islice(each, min(_AT_ONCE, count - start))
                made = [self._output(event, value, start + at) for at, (event, value) in enumerate(some)]
                await asyncio.gather(*map(ingest.put, made))
        finally:
            ingest.close()

    def _output(self, event: Event, value: bytes, number: int) -> Output:
        envelope = event.envelope
        id = derive("bench", envelope.id, str(number))
        mine = replace(envelope, id=id, subject=f"{envelope.subject}-{number % 10_000}")
        return Output(self._source, mine.subject.encode(), value, to_headers(mine))

    async def route(self, engine: Engine, total: int) -> Routed:
        """Route what `fill` wrote by the hub's own stage, in its own transactions."""
        clock, done = _Clock(total), asyncio.Event()
        writer = _Elsewhere(self._servers, self._prefix, self._target, clock, done)
        runner = StageRunner(Routing(engine), writer)
        with tempfile.TemporaryDirectory() as folder:
            app = make_app(self._servers, Path(folder), {runner: [self._source]}, self._prefix)
            try:
                await run_alone(app, runner, done)
            finally:
                await asyncio.wait_for(app.stop(), timeout=10)
        return clock.found()


async def run_alone(app: Any, runner: StageRunner, done: asyncio.Event) -> None:
    """Start the app of one stage and run it until `done`. Raises what the stage does; to stop the app is left to do."""
    app.on_positioned = _positioned
    running = asyncio.create_task(runner.run())
    finished = asyncio.create_task(done.wait())
    memory.settle()
    await app.start()
    try:
        await asyncio.wait({running, finished}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class _Clock:
    """From the first commit behind the warm-up to the last one."""

    def __init__(self, total: int) -> None:
        self.total = total
        self._reached: Positions = {}
        self._outputs = 0
        self._began: tuple[float, float, int, int] | None = None
        self._ended = (0.0, 0.0)

    def committed(self, outputs: int, positions: Positions) -> bool:
        """Take note; whether that was all."""
        self._reached |= positions
        self._outputs += outputs
        reached, now = sum(self._reached.values()), (time.monotonic(), time.process_time())
        if self._began is None and reached >= self.total * _WARM:
            self._began = (*now, reached, self._outputs)
        self._ended = now
        return reached >= self.total

    def found(self) -> Routed:
        """What it took."""
        assert self._began is not None
        began, cpu, first, outputs = self._began
        ended, cpu_ended = self._ended
        events = max(self.total - first, 1)
        return Routed(
            events, self._outputs - outputs, events / (ended - began), (cpu_ended - cpu) / events * 1e6
        )


class _Elsewhere(Transactor):
    """Writes to one topic whatever the stage writes, and tells the clock."""

    def __init__(self, servers: str, name: str, topic: str, clock: _Clock, done: asyncio.Event) -> None:
        super().__init__(servers, name)
        self._topic, self._clock, self._done = topic, clock, done
        self._loop = asyncio.get_running_loop()

    def commit(self, outputs: Sequence[Output | Outputs], positions: Positions, fence: Fence) -> bool:
        """As a transactor does."""
        moved = [self._moved(one) for one in outputs]
        committed = super().commit(moved, positions, fence)
        routed = sum(len(one) for one in moved if isinstance(one, Outputs))
        if committed and self._clock.committed(routed, positions):
            self._loop.call_soon_threadsafe(self._done.set)
        return committed

    def _moved(self, one: Output | Outputs) -> Output | Outputs:
        if isinstance(one, Output):
            return msgspec.structs.replace(one, topic=self._topic)
        same = one.topics.clear().extend_constant(self._topic, len(one))
        return Outputs(same, one.keys, one.values, one.headers)


@contextmanager
def bench(servers: str, partitions: int, replication: int) -> Iterator[Bench]:
    """A bench whose topics are made now and deleted at the end. Raises Unmeasurable."""
    made = Bench(servers, f"hub-bench-{secrets.token_hex(4)}")
    names = [made._source, made._target]
    try:
        topics.ensure(servers, [topics.Topic(name, partitions, replication) for name in names])
        try:
            yield made
        finally:
            _clear(servers, names, made._prefix)
    except (KafkaError, KafkaAway) as error:
        raise Unmeasurable(str(error) or type(error).__name__) from error


def _clear(servers: str, names: Sequence[str], group: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=servers.split(","), client_id="hub-bench")
    try:
        admin.delete_topics(names)
        with suppress(CoordinatorNotAvailableError):  # nobody has formed a group here yet
            admin.delete_groups([group])
    finally:
        admin.close()


async def _positioned(_: Any) -> None:
    """Nothing waits for the assignment here."""
