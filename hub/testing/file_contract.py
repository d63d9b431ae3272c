"""The contracts of file drops and registers."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from hub.sdk.connector import FAULT
from hub.sdk.errors import Reject, Retry, Stop
from hub.sdk.files import FileDropSource, RegisterSource
from hub.sdk.places import Found
from hub.sdk.sftp_simulator import BUSY, CUT, DENIED, GONE, LOGIN, FileSimulator
from hub.stream import filing
from hub.testing.contract import Contract, Raw
from hub.testing.in_memory import Died, InMemory, drive
from hub.testing.shapes import Path as Where
from hub.testing.shapes import required


class FileDropContract(Contract):
    """What a file drop promises, over SFTP. The simulator is a `FileSimulator`.

    class TestPlates(FileDropContract):
        connector, simulator = Plates, PlatesSimulator
    """

    connector: ClassVar[type[FileDropSource[Any, Any]]]

    _landed: ClassVar[dict[type, list[Raw]]] = {}

    def records(self) -> list[Raw]:
        """The raw records of a few rows."""
        if type(self) not in self._landed:
            self._landed[type(self)] = asyncio.run(self._some())
        return self._landed[type(self)]

    @pytest.fixture(autouse=True)
    def _small_portions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(filing, "PORTION", 2)

    async def test_every_row_is_told_and_the_file_is_archived(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            made, memory = simulator.populate(7), InMemory()
            await drive(source, memory, tmp_path)
            assert _subjects(source, memory) == made
            assert not simulator.files()
            assert len(simulator.files(source.archive)) == 1

    async def test_the_same_file_twice_is_one_file(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            simulator.populate(3)
            ((_, body),) = simulator.files().items()
            memory = InMemory()
            await drive(source, memory, tmp_path)
            before = len(memory.landed(source))
            simulator.write(body)
            await drive(self._hasty(simulator), memory, tmp_path / "another worker")
            assert len(memory.landed(source)) == before
            assert not simulator.files()

    async def test_a_row_that_cannot_be_read_is_set_aside_and_the_rest_goes_on(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            made, memory = simulator.populate(5), InMemory()
            ((name, body),) = simulator.files().items()
            simulator.drop(name, simulator.spoilt(body))
            await drive(source, memory, tmp_path)
            assert _subjects(source, memory) == made
            assert len(_set_aside(source, memory)) == 1

    async def test_a_file_that_is_not_complete_is_not_taken(self) -> None:
        source, found = self.made(), Found("a-file", 1, 0.0)
        assert not source.is_complete(found, {"a-file": found}, 0)
        marker = source.marker.format(name="a-file")
        listed = {"a-file": found} | ({marker: Found(marker, 0, 0.0)} if marker else {})
        assert source.is_complete(found, listed, 1e9)

    @pytest.mark.parametrize("die", ["before", "after"])
    async def test_a_worker_that_dies_at_any_commit_leaves_no_gap_and_no_repeat(
        self, die: str, tmp_path: Path
    ) -> None:
        async with self._world() as (simulator, source):
            made, memory = simulator.populate(5), InMemory()
            for life in range(100):
                memory.die = die if life % 2 == 0 else ""
                try:
                    await drive(self._hasty(simulator), memory, tmp_path / str(life), rounds=2 + life)
                except (Died, AssertionError):
                    continue
                break
            assert _subjects(source, memory) == made
            ids = [raw.id for raw in memory.landed(source)]
            assert len(ids) == len(set(ids)) == len(made)

    @pytest.mark.parametrize("fault", [CUT, BUSY, DENIED, GONE])
    async def test_a_failure_that_passes_is_retried_and_loses_nothing(
        self, fault: str, tmp_path: Path
    ) -> None:
        async with self._world() as (simulator, source):
            made, memory = simulator.populate(3), InMemory()
            simulator.faults = {fault: 1.0}
            with pytest.raises(Retry):
                await drive(source, memory, tmp_path)
            simulator.have("a good day")
            await drive(source, memory, tmp_path)
            assert _subjects(source, memory) == made

    async def test_a_refused_login_stops_the_instance_and_tells_no_secret(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            simulator.faults = {LOGIN: 1.0}
            with pytest.raises(Stop) as caught:
                await drive(source, InMemory(), tmp_path)
            self.assert_no_secret(source, str(caught.value))

    async def test_another_server_in_its_place_is_not_spoken_to(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, _):
            other = FileSimulator().config()["sftp_host_key"]
            source = self._hasty(simulator)
            source.config = source.config.model_copy(update={"sftp_host_key": other})
            with pytest.raises(Stop, match="key"):
                await drive(source, InMemory(), tmp_path)

    async def test_a_file_of_nonsense_does_not_end_the_source(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            memory = InMemory()
            for body in (b"", b"\x00\xff\xfe" * 50, b'"' * 99, b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"):
                simulator.write(body)
            made = simulator.populate(3)
            await drive(source, memory, tmp_path)
            assert _subjects(source, memory) == made

    async def test_a_file_with_a_name_that_nobody_can_print_holds_up_no_other(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            name = Path(simulator.file_name.format(n=0))
            for odd in ("\u00a0", "\u200b", "\\", "\udcff"):  # the last is a byte that is no UTF-8
                simulator.drop(f"{name.stem}{odd}{name.suffix}", b"")
            made, memory = simulator.populate(3), InMemory()
            await drive(source, memory, tmp_path)
            assert _subjects(source, memory) == made
            assert len(simulator.files()) == 4

    def _hasty(self, simulator: FileSimulator) -> Any:
        """A source that waits for nothing."""
        source = self.made(simulator)
        source.settled_after = timedelta()
        return source

    @asynccontextmanager
    async def _world(self, fault: str | None = None) -> AsyncIterator[tuple[FileSimulator, Any]]:
        async with super()._world(fault) as (simulator, source):
            source.settled_after = timedelta()
            yield simulator, source

    async def _some(self) -> list[Raw]:
        async with self._world() as (simulator, source):
            simulator.populate(3)
            memory = InMemory()
            await drive(source, memory, simulator.folder.parent / "worker")
            return memory.landed(source)


class RegisterContract(FileDropContract):
    """What a register promises besides. The simulator is a `FileSimulator` that is `whole`."""

    connector: ClassVar[type[RegisterSource[Any, Any]]]

    def required(self) -> Iterator[Where]:
        """Of a change, what the row must have."""
        yield from (("kind",), ("key",), ("at",), ("id",))
        yield from required(self.connector.row_model, ("after",))

    async def test_a_changed_register_tells_exactly_the_differences(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            simulator.populate(6)
            memory = InMemory()
            await drive(source, memory, tmp_path)
            before = len(memory.landed(source))
            expected = simulator.alter()
            await drive(self._hasty(simulator), memory, tmp_path / "another worker")
            told = [source.parse(raw.body, raw.attributes) for raw in memory.landed(source)[before:]]
            assert Counter((change.kind, change.key) for change in told) == expected

    async def test_a_register_that_was_cut_off_removes_nothing(self, tmp_path: Path) -> None:
        async with self._world() as (simulator, source):
            simulator.populate(40)
            memory = InMemory()
            await drive(source, memory, tmp_path)
            simulator.write(simulator.encode(list(simulator.register.values())[:10]))
            await drive(source, memory, tmp_path)
            assert len(simulator.files(source.quarantine)) == 1
            kinds = Counter(
                source.parse(raw.body, raw.attributes).kind
                for raw in memory.landed(source)
                if FAULT not in raw.attributes
            )
            assert kinds == Counter(added=40)

    async def test_a_row_that_cannot_be_read_is_not_taken_for_removed_and_what_is_gone_is_told_next(
        self, tmp_path: Path
    ) -> None:
        async with self._world() as (simulator, source):
            simulator.populate(6)
            memory = InMemory()
            await drive(source, memory, tmp_path)
            gone, damaged = sorted(simulator.register)[:2]
            del simulator.register[gone]
            rest = [row for key, row in simulator.register.items() if key != damaged]
            simulator.write(simulator.spoilt(simulator.encode(rest)))
            await drive(source, memory, tmp_path)
            assert len(memory.landed(source)) == 6 + len(_set_aside(source, memory)) == 6 + 2
            assert len(simulator.files(source.quarantine)) == 1
            simulator.write(simulator.encode(simulator.register.values()))
            await drive(source, memory, tmp_path)
            told = [source.parse(raw.body, raw.attributes) for raw in memory.landed(source)[8:]]
            assert [(change.kind, change.key) for change in told] == [("removed", gone)]


def _subjects(source: Any, memory: InMemory) -> set[str]:
    """Of all facts of what could be read."""
    good = [raw for raw in memory.landed(source) if FAULT not in raw.attributes]
    return {fact.subject for raw in good for fact in source.translate(raw.body, raw.attributes)}


def _set_aside(source: Any, memory: InMemory) -> list[str]:
    """The reasons of what could not."""
    reasons = []
    for raw in memory.landed(source):
        if FAULT in raw.attributes:
            with pytest.raises(Reject) as caught:
                source.translate(raw.body, raw.attributes)
            reasons.append(caught.value.reason)
    return reasons
