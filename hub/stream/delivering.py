"""inbox.<party> → subscribers: each event at least once, in order per subject, one slow subscriber slowing nobody.

The stage lives from one assignment of partitions to the next: a `Tenure`. What it knows is read from Kafka when
that begins (`hub.stream.pending`) and forgotten when it ends; attempts under way then are given a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import structlog
from confluent_kafka import KafkaException

from hub.stream import failpoints
from hub.stream.feeding import AGAIN_S, Feeding, Outside
from hub.stream.inbox_part import InboxPart
from hub.stream.ledger import Ledger
from hub.stream.progress import Progress
from hub.stream.records import Batch, Fence, Positions
from hub.stream.standing import Sequel

log = structlog.get_logger()

#: How long attempts under way are given when partitions are taken back, and when the worker stops, seconds.
HAND_OVER_S, STOP_S = 1.0, 2.0

#: How long the commit after that may take, seconds.
LAST_WORD_S = 3.0

_SWEEP_S = 60.0


class Delivering:
    """The deliver stage, on the event loop. `fence` tells who we are in the group and where each inbox stands.

    `progress` is told by whoever commits, see `KafkaCommitter`.
    """

    name = "deliver"

    def __init__(
        self,
        outside: Outside,
        fence: Callable[[], tuple[Fence, Positions]],
        progress: Progress | None = None,
    ) -> None:
        self._outside = outside
        self._fence = fence
        self._batches: asyncio.Queue[Batch] = asyncio.Queue(maxsize=16)
        self.progress = progress or Progress(self.name)
        self.progress.waiting = self._batches.qsize
        self._tenure: Tenure | None = None
        self._next: asyncio.Queue[Tenure] = asyncio.Queue()

    async def agent(self, stream: AsyncIterable[Batch]) -> None:
        """The Faust agent: it only hands on, and waits when the stage is behind."""
        async for batch in stream:
            await failpoints.at(f"{self.name}.took", len(batch.records))
            await self._batches.put(batch)
            if self._tenure is not None:
                self._tenure.wake()

    async def assigned(self) -> None:
        """Partitions of the inboxes are ours from now on."""
        await self.revoked()
        fence, positions = self._fence()
        inboxes = {place: at for place, at in positions.items() if place[0].startswith("inbox.")}
        self._tenure = Tenure(self._outside, fence, inboxes, self._batches)
        self._next.put_nowait(self._tenure)

    async def revoked(self) -> None:
        """All partitions are taken back. Returns when nothing is under way any more."""
        tenure, self._tenure = self._tenure, None
        if tenure is not None:
            await tenure.end(HAND_OVER_S)

    def changed(self) -> None:
        """There are other recipients than before."""
        if self._tenure is not None:
            self._tenure.changed()

    async def run(self) -> None:
        """Deliver until cancelled. An error that gets here is a bug: it ends the worker, loudly."""
        try:
            await self._outside.committer.prepare()
            while True:
                await (await self._next.get()).over()
        finally:
            if self._tenure is not None:
                await self._tenure.end(STOP_S)
            await self._outside.committer.finish()


class Tenure:
    """The stage for as long as its partitions are ours. `batches` of another generation are passed over."""

    def __init__(
        self, outside: Outside, fence: Fence, positions: Positions, batches: asyncio.Queue[Batch]
    ) -> None:
        self._outside = outside
        self._fence = fence
        self._batches = batches
        self._parts = {place: InboxPart(place, position) for place, position in positions.items()}
        self._sequel = Sequel()
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None
        self._others = self._resumed = False
        self._ledger = Ledger(outside.committer, fence, self._parts, outside.clock, self.wake)
        self._feeding = Feeding(outside, self._parts, self._ledger, self._spawn, self.wake)
        self._main = asyncio.create_task(self._run())

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def changed(self) -> None:
        """There are other recipients."""
        self._others = True
        self.wake()

    async def over(self) -> None:
        """Returns once it was ended. Raises what it died of."""
        await asyncio.wait({self._main})
        if not self._main.cancelled():
            self._main.result()

    async def end(self, grace: float) -> None:
        """Begin nothing more, give attempts under way `grace` seconds, write what is over, forget the rest."""
        doomed = [self._main, *self._tasks]
        for task in doomed:
            task.cancel()
        await asyncio.gather(*doomed, return_exceptions=True)
        await self._feeding.lanes.stop(grace)
        if self._resumed:
            self._feeding.stepped()
            for part in self._parts.values():
                for taken in part.batches:
                    self._ledger.close(part, taken)
            with suppress(TimeoutError):  # Kafka is away: whoever gets the partitions next repeats a little
                async with asyncio.timeout(LAST_WORD_S):
                    await self._ledger.finish()

    async def _run(self) -> None:
        await self._resume()
        self._spawn(self._watch())
        self._spawn(self._sweep())
        while not self._ledger.lost:
            await self._wake.wait()
            self._wake.clear()
            if self._failed is not None:
                raise self._failed
            if self._others:
                self._others = False
                self._feeding.meet()
            while not self._batches.empty() and not self._ledger.full:
                batch = self._batches.get_nowait()
                if batch.fence == self._fence:  # otherwise somebody else's by now, or read again
                    self._sequel.check(batch)
                    self._feeding.take(batch)
            self._feeding.feed()
            self._ledger.begin()
        await self._feeding.lanes.stop(0)  # others have our partitions: what we tried they would try, too
        await asyncio.Event().wait()

    async def _resume(self) -> None:
        partitions = {partition for _, partition in self._parts}
        while not self._resumed:
            try:
                self._feeding.resume(await self._outside.inboxes.standings(partitions))
                self._resumed = True
            except KafkaException as error:
                log.warning("deliveries-not-read", error=error.args[0].name())
                await asyncio.sleep(AGAIN_S)
        self.wake()

    async def _watch(self) -> None:
        while True:
            await self._feeding.lanes.stepped()
            self._feeding.stepped()
            self.wake()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            await self._feeding.sweep()
            self.wake()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failed = task.exception()
            self.wake()
