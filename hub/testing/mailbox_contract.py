"""The contract of mailbox sources."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hub.sdk.connector import FAULT
from hub.sdk.errors import Retry, Stop
from hub.sdk.mailbox import MailboxSource
from hub.testing.contract import Contract, Raw
from hub.testing.in_memory import Died, InMemory, drive


class MailboxContract(Contract):
    """What a mailbox source promises. Its simulator can `populate` the mailbox, and says how many messages are
    `waiting`: listed and not acknowledged.

    class TestMesh(MailboxContract):
        connector, simulator = MeshInbox, MeshSimulator
        impatient: ClassVar = {"timeout_seconds": 1}
    """

    connector: ClassVar[type[MailboxSource[Any, Any]]]
    #: Faults that pass.
    passing: ClassVar[tuple[str, ...]] = ("429", "500", "503", "cut", "garbage", "hang")

    _landed: ClassVar[dict[type, list[Raw]]] = {}

    def records(self) -> list[Raw]:
        """The raw records of a few messages."""
        if type(self) not in self._landed:
            self._landed[type(self)] = asyncio.run(self._some())
        return self._landed[type(self)]

    async def test_every_message_is_told_and_acknowledged(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            made, memory = simulator.populate(5), InMemory()
            await drive(source, memory, tmp_path)
            assert _subjects(source, memory) == made
            assert simulator.waiting() == 0

    async def test_nothing_is_acknowledged_before_it_is_committed(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            made, memory = simulator.populate(3), InMemory()
            memory.die = "before"
            with pytest.raises(Died):
                await drive(source, memory, tmp_path)
            assert simulator.waiting() == 3
            memory.die = ""
            await drive(self.made(simulator), memory, tmp_path)
            assert _subjects(source, memory) == made
            assert simulator.waiting() == 0

    async def test_a_worker_that_dies_before_it_acknowledges_leaves_no_repeat(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            simulator.populate(3)
            memory = InMemory()
            memory.die = "after"
            with pytest.raises(Died):
                await drive(source, memory, tmp_path)
            memory.die = ""
            await drive(self.made(simulator), memory, tmp_path)
            assert len(memory.landed(source)) == 3
            assert simulator.waiting() == 0

    async def test_a_failure_that_passes_is_retried_and_loses_nothing(self, tmp_path: Path) -> None:
        for fault in self.passing:
            async with self._world(fault) as (simulator, source):
                made, memory = simulator.populate(3), InMemory()
                with pytest.raises(Retry):
                    await drive(source, memory, tmp_path)
                simulator.have("a good day")
                await drive(source, memory, tmp_path)
                assert _subjects(source, memory) == made, fault
                assert len(memory.landed(source)) == 3, fault

    async def test_failures_now_and_then_lose_and_repeat_nothing(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            made, memory = simulator.populate(5), InMemory()
            simulator.faults = {"503": 0.3, "cut": 0.1}
            for _ in range(200):
                try:
                    await drive(source, memory, tmp_path)
                except Retry:
                    continue
                break
            assert _subjects(source, memory) == made
            assert len(memory.landed(source)) == 5
            simulator.have("a good day")
            await drive(source, memory, tmp_path)
            assert simulator.waiting() == 0

    async def test_a_message_that_is_too_long_is_set_aside_and_the_others_go_on(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            simulator.populate(2)
            memory = InMemory()
            source.largest = 1
            await drive(source, memory, tmp_path)
            assert [raw for raw in memory.landed(source) if FAULT in raw.attributes and not raw.body]
            assert simulator.waiting() == 0

    @pytest.mark.parametrize("fault", ["403"])
    async def test_a_refused_credential_stops_the_instance(self, fault: str, tmp_path: Path) -> None:
        async with self._world(fault) as (simulator, source):
            simulator.populate(1)
            with pytest.raises(Stop) as caught:
                await drive(source, InMemory(), tmp_path)
            self.assert_no_secret(source, str(caught.value))

    async def _some(self) -> list[Raw]:
        async with self._world() as (simulator, source):
            simulator.populate(3)
            memory = InMemory()
            await drive(source, memory, Path())
            return memory.landed(source)


def _subjects(source: Any, memory: InMemory) -> set[str]:
    return {
        fact.subject for raw in memory.landed(source) for fact in source.translate(raw.body, raw.attributes)
    }
