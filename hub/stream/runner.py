"""The loop that every stage shares: batches in, outputs out, one transaction for what waits.

A record that a stage cannot process, or whose outputs Kafka refuses, is found by halving and set aside; what
is not the record's fault ends the worker, loudly.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from time import monotonic
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaException

from hub.events.fault import is_a_fault
from hub.sdk.errors import Reject
from hub.stream import failpoints
from hub.stream.backlog import Backlog
from hub.stream.pace import Occupied
from hub.stream.progress import Progress
from hub.stream.records import Batch, Fence, Output, Outputs, Place, positions_of
from hub.stream.stage import Stage, bare, lost_outputs
from hub.stream.standing import Sequel
from hub.stream.transactions import Transactor
from hub.stream.verdicts import Refused

log = structlog.get_logger()

Made = TypeVar("Made", Output, Output | Outputs)


class Poisoned(Exception):
    """The stage failed over one of the records; `kind` and `where` name the error without what it says."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.kind = type(error).__name__
        last = traceback.extract_tb(error.__traceback__)[-1]
        self.where = f"{last.filename.rpartition('/')[2]}:{last.lineno}"


@dataclass(frozen=True, slots=True)
class Turn:
    """Batches on their way through one transaction."""

    batches: Sequence[Batch]
    commit: asyncio.Future[Any]


class StageRunner:
    """Feeds a stage from its agent and commits what it makes. Other executors and another clock can be given."""

    def __init__(
        self,
        stage: Stage,
        transactor: Transactor,
        threads: Callable[[str], Executor] = lambda name: ThreadPoolExecutor(1, thread_name_prefix=name),
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.name = stage.name
        self._stage = stage
        self._transactor = transactor
        self._backlog = Backlog()
        self._taken: frozenset[Place] = frozenset()
        self.progress = Progress(stage.name, self._backlog.__len__, self._holds)
        self.occupied = Occupied()
        """With a turn over a few records that somebody waits for."""
        self._sequel = Sequel()
        #: Kafka has refused a batch of this membership, so what follows under it must not go on either.
        self._over: Fence | None = None
        self._processing = threads(stage.name)
        self._committing = threads(f"{stage.name}-commit")
        self._clock = clock

    async def agent(self, stream: AsyncIterable[Batch]) -> None:
        """The Faust agent: it only hands on, and waits when the stage is behind."""
        async for batch in stream:
            await failpoints.at(f"{self.name}.took", len(batch.records))
            await self._backlog.put(batch)

    async def run(self) -> None:
        """Process until cancelled. An error that gets here is a bug: it ends the worker, loudly."""
        turn = Turn([], self._in(self._committing, self._transactor.prepare))
        try:
            await self._in(self._processing, self.progress.bind)
            while True:
                if not self._backlog:
                    turn = await self._end(turn)
                    self._taken = frozenset()
                    self.occupied.end()
                taken = await self._backlog.take(self._stage.linger)
                self._taken = frozenset(batch.place for batch in taken)
                if not self._stage.linger:
                    self.occupied.begin(_count(taken))
                for batches in self._groups(taken):
                    turn = await self._next(batches, turn)
        finally:
            self.occupied.end()
            self._processing.shutdown(wait=False, cancel_futures=True)
            await self._transactor.finish(self._committing)

    def _holds(self, place: Place) -> bool:
        return place in self._taken or self._backlog.holds(place)

    def _groups(self, batches: Sequence[Batch]) -> Iterator[list[Batch]]:
        """One transaction each: what was read under one membership, checked for its order."""
        for fence, group in groupby(batches, key=lambda batch: batch.fence):
            if fence != self._over:
                found = list(group)
                for batch in found:
                    self._sequel.check(batch)
                yield found

    async def _next(self, batches: list[Batch], turn: Turn) -> Turn:
        """Process `batches` while the turn before commits, where the stage allows it; then begin their commit."""
        if not self._stage.pure:
            turn = await self._end(turn)
        began = self._clock()
        try:
            outputs = await self._processed(batches)
        except Poisoned as fault:
            turn = await self._end(turn)
            await self._apart(batches, fault)
            return turn
        self._backlog.learn(_count(batches), self._clock() - began)
        turn = await self._end(turn)
        if batches[0].fence == self._over:
            self._stage.forget(batches)
            return turn
        return Turn(batches, self._in(self._committing, self._commit, outputs, batches))

    async def _end(self, turn: Turn) -> Turn:
        """Wait for the commit of `turn`, and do what follows from it. An empty turn in its place."""
        try:
            committed = await turn.commit
        except Refused as fault:
            await self._apart(turn.batches, fault)
        else:
            if turn.batches and not committed:
                self._lose(turn.batches)
        return Turn([], _done())

    def _lose(self, batches: Sequence[Batch]) -> None:
        self.progress.moved()
        self._over = batches[0].fence
        self._stage.forget(batches)

    async def _apart(self, batches: Sequence[Batch], fault: Poisoned | Refused) -> None:
        """Go on in halves until the record at fault is alone, and set it aside. Each half commits by itself."""
        self._stage.forget(batches)
        if _count(batches) <= 1:
            await self._set_aside(batches, fault)
            return
        for half in _halves(batches):
            if batches[0].fence == self._over:
                return
            try:
                outputs = await self._processed(half)
                if not await self._in(self._committing, self._commit, outputs, half):
                    self._lose(half)
            except (Poisoned, Refused) as again:
                await self._apart(half, again)

    async def _set_aside(self, batches: Sequence[Batch], fault: Poisoned | Refused) -> None:
        """The one record of `batches` becomes a dead letter."""
        (batch,) = [batch for batch in batches if batch.records]
        (record,) = batch.records
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        if isinstance(fault, Poisoned):
            log.error("stage-failed", stage=self.name, kind=fault.kind, where=fault.where, **place)
            reject = Reject(f"the stage failed: {fault.kind} at {fault.where}", kind="failed")
        else:
            log.error("output-refused", stage=self.name, kind=fault.kind, **place)
            reject = Reject(f"Kafka refuses what it leads to: {fault.kind}", kind="refused")
        outputs = await self._made(
            batches, lambda: self._lost(batches) + self._stage.set_aside(batch, reject)
        )
        try:
            committed = await self._in(self._committing, self._commit, outputs, batches)
        except Refused:  # not even that
            committed = await self._in(self._committing, self._commit, list(bare(outputs)), batches)
        if not committed:
            self._lose(batches)

    async def _processed(self, batches: Sequence[Batch]) -> list[Output | Outputs]:
        """What comes out. Raises Poisoned."""
        return await self._made(batches, lambda: self._process(batches))

    async def _made(self, batches: Sequence[Batch], make: Callable[[], list[Made]]) -> list[Made]:
        """What `make` gives on the stage's own thread, whenever Kafka answers a stage that reads from it."""
        while True:
            try:
                outputs: list[Made] = await self._in(self._processing, make)
            except KafkaException as error:
                log.warning("stage-waits", stage=self.name, error=error.args[0].name())
                self._stage.forget(batches)
                await asyncio.sleep(1)
            else:
                return outputs

    def _process(self, batches: Sequence[Batch]) -> list[Output | Outputs]:
        lost = self._lost(batches)
        some = [batch for batch in batches if batch.records]
        failpoints.reached(self.name, _count(batches))
        try:
            return [*lost, *(self._stage.process(some) if some else [])]
        except BaseException as error:
            if isinstance(error, KafkaException) or not is_a_fault(error):
                raise
            raise Poisoned(error) from error

    def _lost(self, batches: Sequence[Batch]) -> list[Output]:
        return [output for batch in batches for output in lost_outputs(batch, self.name)]

    def _commit(self, outputs: Sequence[Output | Outputs], batches: Sequence[Batch]) -> bool:
        self.progress.bind()
        failpoints.reached(f"{self.name}.commit")
        moved = positions_of(batches)
        if not self._transactor.commit(outputs, moved, batches[0].fence):
            return False
        self.progress.committed(moved)
        failpoints.reached(f"{self.name}.committed")
        return True

    def _in(self, thread: Executor, call: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(thread, call, *args)


def _count(batches: Sequence[Batch]) -> int:
    return sum(len(batch.records) for batch in batches)


def _halves(batches: Sequence[Batch]) -> tuple[Sequence[Batch], Sequence[Batch]]:
    if len(batches) == 1:
        first, second = batches[0].halves()
        return [first], [second]
    middle = len(batches) // 2
    return batches[:middle], batches[middle:]


def _done() -> asyncio.Future[Any]:
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.set_result(True)
    return future
