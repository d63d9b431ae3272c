"""The hub's own route stage: its Faust app, its stage, its transactions, its journal entries."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks import work
from benchmarks.peers.meter import Meter, Task, task_from_command_line
from hub.registry.schemas import Registry
from hub.routes.engine import Engine
from hub.routes.loader import load_routes
from hub.stream.app import make_app
from hub.stream.records import Batch, Fence, Output, Positions
from hub.stream.routing import Routing
from hub.stream.stage import StageRunner
from hub.stream.transactions import Transactor


class Timed:
    """The stage, with the clock told of each batch before its work begins."""

    def __init__(self, stage: Routing, meter: Meter) -> None:
        self.name = stage.name
        self.pure = stage.pure
        self._stage = stage
        self._meter = meter

    def process(self, batch: Batch) -> list[Output]:
        """As the stage does."""
        self._meter.begin(len(batch.records))
        return self._stage.process(batch)

    def forget(self, batches: Iterable[Batch]) -> None:
        """As the stage does."""
        self._stage.forget(batches)


class Watched(Transactor):
    """A transactor that tells when the last position is committed."""

    def watch(self, total: int, meter: Meter, done: asyncio.Event) -> None:
        """Report and set `done` once `total` records are committed."""
        self._total, self._meter, self._done = total, meter, done
        self._loop = asyncio.get_running_loop()
        self._reached: Positions = {}

    def commit(self, outputs: Sequence[Output], positions: Positions, fence: Fence) -> bool:
        """As a transactor does."""
        committed = super().commit(outputs, positions, fence)
        if committed:
            self._reached |= positions
            if sum(self._reached.values()) >= self._total:
                self._meter.report()
                self._loop.call_soon_threadsafe(self._done.set)
        return committed


def transactor(task: Task) -> Watched:
    """At least once where that is asked for. Raises TypeError from a hub that knows only exactly once."""
    name = f"bench-{task.target}"
    return (
        Watched(task.servers, name) if task.exactly_once else Watched(task.servers, name, exactly_once=False)
    )


async def run(task: Task, routes: Path = work.HERE / "routes") -> None:
    """Route until all is committed, then leave the group in order."""
    registry = Registry.load(work.SCHEMAS)
    meter, done = Meter(task), asyncio.Event()
    writer = transactor(task)
    writer.watch(task.total, meter, done)
    stage = Timed(Routing(Engine(load_routes(routes, registry), [work.PARTY], registry)), meter)
    runner = StageRunner(stage, writer)
    with tempfile.TemporaryDirectory() as folder:
        app = make_app(task.servers, Path(folder), {runner: [task.source]})
        app.on_positioned = _positioned
        running = asyncio.create_task(runner.run())
        finished = asyncio.create_task(done.wait())
        await app.start()
        await asyncio.wait({running, finished}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(app.stop(), timeout=10)


async def _positioned(_: Any) -> None:
    """Nothing waits for the assignment here."""


if __name__ == "__main__":
    asyncio.run(run(task_from_command_line()))
