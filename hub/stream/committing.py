"""Transactions for a stage that lives on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from hub.stream import failpoints
from hub.stream.progress import Progress
from hub.stream.records import Fence, Output, Positions
from hub.stream.transactions import Transactor


class Committer(Protocol):
    """One transaction after the other."""

    async def prepare(self) -> None:
        """Be quick at the first commit."""

    async def commit(self, outputs: Sequence[Output], positions: Positions, fence: Fence) -> bool:
        """Both or neither; False when the group has moved on without us. Raises Refused."""

    async def rehearse(self, outputs: Sequence[Output]) -> None:
        """Learn whether Kafka takes these: they are written and taken back. Raises Refused."""

    async def finish(self) -> None:
        """Nothing follows."""


class KafkaCommitter:
    """A `Transactor` on a thread of its own, for the stage whose `progress` is told."""

    def __init__(self, transactor: Transactor, progress: Progress) -> None:
        self._transactor = transactor
        self._progress = progress
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="committing")

    async def prepare(self) -> None:
        """Open the producer."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._transactor.prepare)

    async def commit(self, outputs: Sequence[Output], positions: Positions, fence: Fence) -> bool:
        """As promised. Waits, retrying, while Kafka is away."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._commit, outputs, positions, fence
        )

    async def rehearse(self, outputs: Sequence[Output]) -> None:
        """As promised. Waits, retrying, while Kafka is away."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._rehearse, outputs)

    def _rehearse(self, outputs: Sequence[Output]) -> None:
        self._progress.bind()
        with self._progress.work():
            self._transactor.rehearse(outputs)

    def _commit(self, outputs: Sequence[Output], positions: Positions, fence: Fence) -> bool:
        self._progress.bind()
        failpoints.reached(f"{self._progress.name}.commit")
        with self._progress.work():
            done = self._transactor.commit(outputs, positions, fence)
        if done:
            self._progress.committed(positions)
            failpoints.reached(f"{self._progress.name}.committed")
        return done

    async def finish(self) -> None:
        """Let a commit under way end, within reason, then close."""
        await self._transactor.finish(self._thread)
