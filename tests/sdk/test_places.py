"""What a place says of a folder, or of a file, that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.sdk import places
from hub.sdk.errors import Retry, Stop
from hub.sdk.places import FileSettings, LocalPlace
from hub.sdk.sftp_simulator import DENIED, GONE, SftpSimulator


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
            await anext(place.read("one"))
        with pytest.raises(Retry, match="check its permissions"):
            await place.move("one", "archive", "one")
        simulator.have("a good day")
        await place.move("one", "archive", "one")
        assert simulator.files("archive") == {"one": b"1"}
        await place.close()
