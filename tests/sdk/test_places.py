"""What a place says of a folder, or of a file, that is not there, and that one which hangs holds up nothing else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from threading import Event, Lock, Timer

import pytest

from hub.sdk import places
from hub.sdk.errors import HubError, Retry, Stop
from hub.sdk.places import FileSettings, LocalPlace, Place
from hub.sdk.sftp_simulator import DENIED, GONE, MUTE, SftpSimulator
from hub.sdk.simulator import HANG
from tests.stream.copying import until


async def whole(place: Place, name: str) -> bytes:
    async with aclosing(place.read(name)) as pieces:
        return b"".join([piece async for piece in pieces])


async def test_a_file_that_goes_while_its_folder_is_listed_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stays", "goes"):
        (tmp_path / name).touch()

    def looked_at(name: str, pattern: str) -> bool:
        (tmp_path / "goes").unlink(missing_ok=True)
        return True

    monkeypatch.setattr(places, "_wanted", looked_at)
    assert [found.name for found in await LocalPlace(tmp_path).listed("*")] == ["stays"]


async def test_a_folder_on_this_machine_is_relative_to_the_file_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "here").touch()
    settings = FileSettings.load("one", {"folder": "drop"}, tmp_path)
    for named in (settings, settings.model_copy(update={"folder": str(tmp_path / "drop")})):
        assert [found.name for found in await named.place().listed("*")] == ["here"]


async def test_a_server_that_says_so_of_a_folder_that_is_there_is_asked_again() -> None:
    simulator = SftpSimulator()
    with simulator.running():
        place = FileSettings(**simulator.config()).place()
        simulator.drop("stays", b"")
        simulator.faults = {GONE: 1.0}
        with pytest.raises(Retry, match="moved away"):
            await place.listed("*")
        simulator.have("a good day")
        assert [found.name for found in await place.listed("*")] == ["stays"]
        await place.close()


async def test_a_folder_that_is_missing_on_a_server_stops_the_instance() -> None:
    simulator = SftpSimulator()
    with simulator.running():
        place = FileSettings(**simulator.config() | {"folder": "/drop/elsewhere"}).place()
        with pytest.raises(Stop, match="check `folder`"):
            await place.listed("*")
        await place.close()


async def test_one_file_that_may_not_be_used_stops_no_instance() -> None:
    simulator = SftpSimulator()
    with simulator.running():
        place = FileSettings(**simulator.config()).place()
        simulator.drop("one", b"1")
        simulator.faults = {DENIED: 1.0}
        with pytest.raises(Retry, match="check its permissions"):
            await whole(place, "one")
        with pytest.raises(Retry, match="check its permissions"):
            await place.move("one", "archive", "one")
        simulator.have("a good day")
        await place.move("one", "archive", "one")
        assert simulator.files("archive") == {"one": b"1"}
        await place.close()


async def test_a_server_that_takes_the_login_and_then_says_nothing_costs_no_connection() -> None:
    simulator = SftpSimulator()
    async with simulator.serve():
        place = FileSettings(**simulator.config()).place()
        simulator.drop("stays", b"")
        simulator.faults = {MUTE: 1.0}
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await place.listed("*")
        await until(lambda: not simulator.clients)
        simulator.have("a good day")
        assert [found.name for found in await place.listed("*")] == ["stays"]
        await place.close()


@pytest.mark.parametrize("at_once", [True, False], ids=["reading", "between two pieces"])
async def test_what_is_given_up_is_not_waited_for_and_the_next_call_has_a_session_of_its_own(
    at_once: bool,
) -> None:
    simulator = SftpSimulator()
    async with simulator.serve():
        place = FileSettings(**simulator.config()).place()
        body = bytes(3 * places.CHUNK)
        simulator.drop("stays", body)
        assert [found.size for found in await place.listed("*")] == [len(body)]
        (first,) = simulator.clients
        async with asyncio.timeout(10):  # and not for as long as the server likes
            if at_once:
                simulator.faults = {HANG: 1.0}
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.3):
                        await whole(place, "stays")
            else:
                async with aclosing(place.read("stays")) as pieces:
                    assert await anext(pieces)
            simulator.have("a good day")
            assert await whole(place, "stays") == body
        await until(lambda: len(simulator.clients) == 1)
        assert first not in simulator.clients
        await place.close()


async def test_what_a_server_says_in_good_order_costs_no_new_connection() -> None:
    simulator = SftpSimulator()
    async with simulator.serve():
        place = FileSettings(**simulator.config()).place()
        await place.listed("*")
        (first,) = simulator.clients
        with pytest.raises(HubError, match="no longer there"):
            await whole(place, "gone")
        await place.listed("*")
        assert simulator.clients == {first}
        await place.close()


@contextmanager
def dead_mount() -> Iterator[Event]:
    """What waits for it comes back when the block ends, or it is set."""
    alive = Event()
    try:
        yield alive
    finally:
        alive.set()


async def test_a_folder_on_a_mount_that_is_dead_holds_up_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir, place = os.scandir, LocalPlace(tmp_path)
    (tmp_path / "there").touch()
    with dead_mount() as mount:

        def hanging(folder: object) -> object:
            if folder == tmp_path:
                mount.wait()
            return scandir(folder)

        monkeypatch.setattr(places.os, "scandir", hanging)
        for _ in range(50):  # more than any pool has threads
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await place.listed("*")
        async with asyncio.timeout(10):
            assert await asyncio.to_thread(lambda: "done") == "done"
    assert [found.name for found in await place.listed("*")] == ["there"]


async def test_a_read_that_hangs_can_be_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, place = places._opened, LocalPlace(tmp_path)
    (tmp_path / "there").write_bytes(b"x")
    with dead_mount() as mount:

        class Hanging:
            """As a buffered file: whoever closes it waits for the reader."""

            def __init__(self, path: Path, flags: int) -> None:
                self.file, self.lock = opened(path, flags), Lock()

            def seek(self, offset: int) -> int:
                return self.file.seek(offset)

            def read(self, size: int) -> bytes:
                with self.lock:
                    mount.wait()
                    return self.file.read(size)

            def close(self) -> None:
                with self.lock:
                    self.file.close()

        monkeypatch.setattr(places, "_opened", Hanging)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await whole(place, "there")
    assert await whole(place, "there") == b"x"


async def test_a_link_that_takes_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"from the hub"

    secret, place = tmp_path / "operator.token", LocalPlace(tmp_path)
    secret.write_bytes(b"secret")
    for name in ("REF_1.csv", "REF_2.csv.part"):  # one that was listed, and one that is about to be written
        (tmp_path / name).symlink_to(secret)
    with pytest.raises(Retry):
        await whole(place, "REF_1.csv")
    with pytest.raises(Retry):
        await place.write("REF_2.csv", chunks())
    assert secret.read_bytes() == b"secret"
    assert await place.listed("REF*") == []


async def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "REF_1.csv"
    os.mkfifo(pipe)
    writer = Timer(10, lambda: os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)))
    writer.start()  # for whom somebody would wait
    with pytest.raises(Retry):
        await whole(LocalPlace(tmp_path), pipe.name)
    assert writer.is_alive()
    writer.cancel()


async def test_what_is_written_has_all_its_bytes_and_replaces_what_is_there(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(places.CHUNK)

    place = LocalPlace(tmp_path)
    (tmp_path / "out").write_bytes(b"old")
    assert await place.write("out", chunks()) == 3 * places.CHUNK
    assert await whole(place, "out") == bytes(3 * places.CHUNK)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    await place.move("out", "archive", "out.1")
    assert [path.name for path in (tmp_path / "archive").iterdir()] == ["out.1"]
