"""The hub's own route stage: its Faust app, its stage, its transactions, its journal entries."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from benchmarks import work
from benchmarks.peers.meter import Meter, Task, options, task_of
from hub.registry.schemas import Registry
from hub.routes.engine import Engine
from hub.routes.loader import load_routes
from hub.stream import memory
from hub.stream.app import make_app
from hub.stream.bench import run_alone
from hub.stream.packing import RecordBatch
from hub.stream.producer import Producer
from hub.stream.records import Batch, Fence, Output, Outputs, Positions, positions_of
from hub.stream.routing import Routing
from hub.stream.runner import StageRunner
from hub.stream.transactions import Transactor


class Timed(Routing):
    """The stage, with the clock told of its batches before their work begins, and of its own share in the cost."""

    def __init__(self, routes: Engine, meter: Silent) -> None:
        super().__init__(routes)
        self._meter = meter

    def process(self, batches: Sequence[Batch]) -> Sequence[Output | Outputs]:
        """As the stage does."""
        self._meter.wait()
        self._meter.begin(sum(len(batch.records) for batch in batches))
        self._meter.tell("read", positions_of(batches))
        with self._meter.stage():
            return super().process(batches)


class Silent(Meter):
    """The clock of a worker on its own, which is told nothing as it goes."""

    def tell(self, what: str, positions: Positions) -> None:
        """Say nothing."""

    def wait(self) -> None:
        """For nobody."""


class Telling(Silent):
    """In place of a clock, among several workers: says how far it has got, for whoever has the clock.

    It begins when all have something to do: what one had begun before the partitions were dealt among all would be
    done twice, where positions are not fenced.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.all_here = Event()

    def wait(self) -> None:
        """For the others."""
        if not self.all_here.is_set():
            self.tell("here", {})
            self.all_here.wait()

    def tell(self, what: str, positions: Positions) -> None:
        """A line of JSON."""
        named = {f"{topic}-{partition}": offset for (topic, partition), offset in positions.items()}
        sys.stdout.write(json.dumps({"what": what, "positions": named}) + "\n")
        sys.stdout.flush()

    def report(self) -> None:
        """It is not ours to say."""


class Watched(Transactor):
    """A transactor that tells when the last position is committed."""

    def watch(self, total: int, meter: Silent, done: asyncio.Event) -> None:
        """Report and set `done` once `total` records are committed."""
        self._total, self._meter, self._done = total, meter, done
        self._loop = asyncio.get_running_loop()
        self._reached: Positions = {}

    def commit(self, outputs: Sequence[Output | Outputs], positions: Positions, fence: Fence) -> bool:
        """As a transactor does."""
        committed = super().commit(outputs, positions, fence)
        if committed:
            self._reached |= positions
            self._meter.tell("committed", positions)
            if sum(self._reached.values()) >= self._total:
                self._meter.report()
                self._loop.call_soon_threadsafe(self._done.set)
        return committed


class Plain(Producer):
    """As the hub's own, but of no transaction."""

    async def _begin(self) -> None:
        """There is nothing to begin."""

    def _numbered(self, batch: RecordBatch) -> bytes:
        return batch.raw(-1, -1, -1)

    async def _write(
        self, outputs: Sequence[Output | Outputs], positions: Positions, mark: str, fence: Fence
    ) -> None:
        await self.produce(await self._packed(outputs))


class AtLeastOnce(Watched):
    """What exactly once costs is seen beside this: outputs are acknowledged, then positions are committed."""

    app: Any = None

    def _open(self) -> Producer:
        if self._producer is None:
            self._producer = Plain(self.servers, "")
            self._producer.open()
        return self._producer

    def _attempt(self, outputs: Sequence[Output | Outputs], positions: Positions, fence: Fence) -> bool:
        if fence != self.app.consumer.fence:
            return False
        self._open().write(outputs, positions, "", fence)
        reading = self.app.consumer._thread
        offsets = {TopicPartition(*place): offset for place, offset in positions.items()}
        committing = reading._ensure_consumer().commit(offsets)
        try:
            asyncio.run_coroutine_threadsafe(committing, reading.thread_loop).result()
        except (IllegalStateError, CommitFailedError):  # another worker has the partition by now
            return False
        return True


def transactor(task: Task) -> Watched:
    """Of the kind that is asked for."""
    return (Watched if task.exactly_once else AtLeastOnce)(task.servers, f"bench-{task.target}-{os.getpid()}")


def engine() -> Engine:
    """The one route, to the one party."""
    registry = Registry.load(work.SCHEMAS)
    return Engine(load_routes(work.HERE / "routes", registry), [work.PARTY], registry)


async def run(task: Task, routes: Engine, *, tell: bool = False) -> None:
    """Route until all is committed, then leave the group in order. To `tell`: until the input is closed."""
    meter: Silent = (Telling if tell else Silent)(task)
    done = asyncio.Event()
    if isinstance(meter, Telling):
        _until_closed(meter, done)
    writer = transactor(task)
    writer.watch(task.total, meter, done)
    runner = StageRunner(Timed(routes, meter), writer)
    with tempfile.TemporaryDirectory() as folder:
        app = make_app(task.servers, Path(folder), {runner: [task.source]})
        if isinstance(writer, AtLeastOnce):
            writer.app = app
        try:
            await run_alone(app, runner, done)
        finally:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(app.stop(), timeout=10)


def _until_closed(meter: Telling, done: asyncio.Event) -> None:
    """Begin when whoever started us says so, and set `done` when it has enough."""
    loop = asyncio.get_running_loop()

    def wait() -> None:
        sys.stdin.readline()
        meter.all_here.set()
        sys.stdin.read()
        loop.call_soon_threadsafe(done.set)

    Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    parser = options()
    parser.add_argument("--tell", action="store_true")
    given = parser.parse_args()
    memory.confine()  # as every worker does
    asyncio.run(run(task_of(given), engine(), tell=given.tell))
