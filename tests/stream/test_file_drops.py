"""Files become raw records: whole, once, in order, whatever dies in between."""

from __future__ import annotations

import csv
import secrets
import threading
from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any, TextIO

import pytest

from hub.sdk import BadRow, FileDropSource, Instance, Retry, csv_rows
from hub.sdk.connector import FAULT
from hub.sdk.places import CHUNK, LocalPlace, Place
from hub.stream import filing, records, topics
from hub.stream.controls import Controls, control_output
from hub.stream.records import Output
from hub.testing.in_memory import InMemory, drive
from tests.stream.at_work import (
    EMITS,
    Borrowed,
    Folder,
    Row,
    alter,
    at_work,
    landed,
    new_instance,
)
from tests.stream.copying import until


class Drop(FileDropSource[Folder, Row]):
    emits = EMITS
    pattern = "REF_*.csv"
    settled_after = timedelta(seconds=0.1)
    key_field = "licence"

    def read(self, file: TextIO) -> Iterable[Any]:
        return csv_rows(file)


class Marked(Drop):
    marker = "{name}.done"


@pytest.fixture
def instance(kafka: str) -> Instance:
    return new_instance(kafka)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    made = tmp_path / "inbox"
    made.mkdir()
    return made


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filing, "PORTION", 50)


@pytest.fixture(scope="module")
def borrowed(kafka: str) -> Borrowed:
    return Borrowed(kafka)


def drop(instance: Instance, inbox: Path, cls: type[Drop] = Drop) -> Drop:
    return cls(instance, Folder(folder=str(inbox)))


def write(path: Path, rows: Iterable[tuple[str, str]]) -> None:
    """Under another name first, so that nobody sees half of it."""
    partial = path.with_suffix(".part")
    with partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["licence", "holder"])
        writer.writerows(rows)
    partial.rename(path)


def licences(count: int, start: int = 0) -> list[tuple[str, str]]:
    return [(f"L{number}", "A Holder") for number in range(start, start + count)]


async def test_rows_are_landed_in_order_under_their_entity_and_the_file_is_archived(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    write(inbox / "REF_1.csv", licences(3))
    write(inbox / "other.csv", licences(1))
    async with at_work(kafka, borrowed, drop(instance, inbox), tmp_path):
        await until(lambda: list((inbox / "archive").glob("REF_1.*.csv")))
    found = landed(kafka, instance)
    assert [(key, value["licence"]) for key, value, _ in found] == [("L0", "L0"), ("L1", "L1"), ("L2", "L2")]
    assert [(beside["file"], beside["line"]) for *_, beside in found] == [
        ("REF_1.csv", str(n)) for n in "123"
    ]
    assert (inbox / "other.csv").exists()


async def test_the_same_bytes_twice_are_one_file_under_whatever_name(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    write(inbox / "REF_1.csv", licences(2))
    async with at_work(kafka, borrowed, drop(instance, inbox), tmp_path / "one"):
        await until(lambda: len(list((inbox / "archive").glob("*"))) == 1)
    write(inbox / "REF_2.csv", licences(2))
    async with at_work(kafka, borrowed, drop(instance, inbox), tmp_path / "two"):
        await until(lambda: len(list((inbox / "archive").glob("*"))) == 2)
    assert len(landed(kafka, instance)) == 2


async def test_a_file_is_not_taken_before_its_marker_lies_beside_it(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    write(inbox / "REF_1.csv", licences(1))
    write(inbox / "REF_2.csv", licences(1, start=7))
    (inbox / "REF_2.csv.done").touch()
    async with at_work(kafka, borrowed, drop(instance, inbox, Marked), tmp_path):
        await until(lambda: len(list((inbox / "archive").glob("*"))) == 2)
        assert [key for key, *_ in landed(kafka, instance)] == ["L7"]
        (inbox / "REF_1.csv.done").touch()
        await until(lambda: len(list((inbox / "archive").glob("*"))) == 4)
    assert [key for key, *_ in landed(kafka, instance)] == ["L7", "L0"]


async def test_bad_rows_are_landed_with_their_line_and_fault_and_the_rest_goes_on(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    (inbox / "REF_1.csv").write_bytes(b'licence,holder\nL1,A\nL2\nL3,\xff\xfe\nL4,"B"x\nL5,C\n')
    source = drop(instance, inbox)
    async with at_work(kafka, borrowed, source, tmp_path):
        await until(lambda: list((inbox / "archive").glob("*")))
    found = landed(kafka, instance)
    assert {beside["line"]: beside.get(FAULT, "") for *_, beside in found} == {
        "1": "",
        "2": "the row has 1 fields where 2 are due",
        "3": "the row is not in the encoding of the file",
        "4": "the line is not CSV",
        "5": "",
    }


async def test_a_file_that_cannot_be_read_goes_to_quarantine_and_the_next_is_taken(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    (inbox / "REF_1.csv").write_text("")
    write(inbox / "REF_2.csv", licences(1))
    async with at_work(kafka, borrowed, drop(instance, inbox), tmp_path):
        await until(lambda: list((inbox / "archive").glob("REF_2*")))
    assert list((inbox / "quarantine").glob("REF_1*"))
    faults = [beside[FAULT] for *_, beside in landed(kafka, instance) if FAULT in beside]
    assert faults == ["the file cannot be read: the file has no header"]


async def test_a_file_that_leads_to_what_kafka_refuses_goes_to_quarantine_and_the_next_is_taken(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    alter(kafka, topics.raw(instance.connector), {"max.message.bytes": "50000"})
    write(inbox / "REF_1.csv", [*licences(60), ("L60", secrets.token_hex(100_000))])
    write(inbox / "REF_2.csv", licences(1, start=70))
    async with at_work(kafka, borrowed, drop(instance, inbox), tmp_path):
        await until(lambda: list((inbox / "archive").glob("REF_2*")))
    assert list((inbox / "quarantine").glob("REF_1*"))
    told = [beside.get(FAULT, key) for key, _, beside in landed(kafka, instance)]
    refused = "Kafka refuses what it leads to: MessageSizeTooLargeError"
    assert told == [*(f"L{number}" for number in range(50)), refused, "L70"]


class Measured(InMemory):
    """Remembers how many bytes each transaction had."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def commit(self, outputs: list[Output], place: records.Place) -> bool:
        self.sizes.append(sum(len(one.value or b"") for one in outputs))
        return await super().commit(outputs, place)

    def assert_bounded(self) -> None:
        """Kafka has a time limit, and what is beyond it would be tried for ever."""
        assert max(self.sizes) < 24 << 20


class Endless(LocalPlace):
    """Its files are another size than it says, as those that grow while they are read."""

    given = 0

    async def read(self, name: str, offset: int = 0) -> AsyncIterator[bytes]:
        while True:
            self.given += CHUNK
            assert self.given < 8 << 20, "it is read on and on"
            yield bytes(CHUNK)


async def test_of_a_file_no_more_is_fetched_than_was_listed(inbox: Path, tmp_path: Path) -> None:
    class Growing(Drop):
        settled_after = timedelta()

        def place(self) -> Place:
            return Endless(inbox)

    write(inbox / "REF_1.csv", licences(2))
    with pytest.raises(Retry, match="changed while it was fetched"):
        await drive(drop(Instance("one", "made", "E08000025"), inbox, Growing), InMemory(), tmp_path)
    assert sum(path.stat().st_size for path in tmp_path.rglob("file")) < CHUNK


async def test_rows_however_large_are_landed_in_transactions_of_bounded_size(
    inbox: Path, tmp_path: Path
) -> None:
    source, memory = drop(Instance("one", "made", "E08000025"), inbox), Measured()
    source.settled_after = timedelta()  # type: ignore[misc] - of this object alone
    write(inbox / "REF_1.csv", [(f"L{number}", "x" * 800_000) for number in range(45)])
    await drive(source, memory, tmp_path)
    assert [raw.key for raw in memory.landed(source)] == [f"L{number}" for number in range(45)]
    memory.assert_bounded()


async def test_a_worker_that_dies_within_a_file_is_succeeded_without_skip_or_repeat(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    write(inbox / "REF_1.csv", licences(5_000))
    for worker in range(50):
        reached = len(landed(kafka, instance))
        if reached == 5_000:
            break
        async with at_work(kafka, borrowed, drop(instance, inbox), tmp_path / str(worker)):
            goal = min(reached + 900, 5_000)
            await until(lambda goal=goal: len(landed(kafka, instance)) >= goal)
    keys = [key for key, *_ in landed(kafka, instance)]
    assert keys == [f"L{number}" for number in range(5_000)]


async def test_a_file_that_is_replaced_while_it_is_read_is_not_put_away_unread(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    tonights = tmp_path / "tonights.csv"

    class Overtaken(Marked):
        def read(self, file: TextIO) -> Iterable[Any]:
            yield from csv_rows(file)
            if tonights.exists():
                tonights.rename(inbox / "REF_1.csv")

    write(tonights, licences(2, start=7))
    write(inbox / "REF_1.csv", licences(3))
    (inbox / "REF_1.csv.done").touch()
    async with at_work(kafka, borrowed, drop(instance, inbox, Overtaken), tmp_path):
        await until(lambda: list((inbox / "archive").glob("REF_1.*.csv")))
    assert [key for key, *_ in landed(kafka, instance)] == ["L0", "L1", "L2", "L7", "L8"]


async def test_a_file_that_is_replaced_when_a_worker_died_within_it_is_told_to_have_been(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    over = threading.Event()

    class Stuck(Drop):
        def read(self, file: TextIO) -> Iterable[Any]:
            for number, row in enumerate(csv_rows(file)):
                if number == 60:
                    over.wait(60)
                yield row

    write(inbox / "REF_1.csv", licences(100))
    async with at_work(kafka, borrowed, drop(instance, inbox, Stuck), tmp_path / "one"):
        await until(lambda: len(landed(kafka, instance)) == 50)
        over.set()  # it dies before anything comes of that
    write(inbox / "REF_1.csv", [("new", "A Holder")])
    async with at_work(kafka, borrowed, drop(instance, inbox), tmp_path / "two"):
        await until(lambda: list((inbox / "archive").glob("*")))
    found = landed(kafka, instance)[50:]
    assert [beside.get(FAULT, key) for key, _, beside in found] == [
        "the file was changed after row 50",
        "new",
    ]


async def test_a_worker_that_was_overtaken_lands_nothing(
    kafka: str, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    held = Borrowed(kafka)
    write(inbox / "REF_1.csv", licences(3_000))
    async with at_work(kafka, held, drop(instance, inbox), tmp_path / "zombie"):
        await until(lambda: landed(kafka, instance))
        held.taken_over()
        async with at_work(kafka, held, drop(instance, inbox), tmp_path / "successor"):
            await until(lambda: list((inbox / "archive").glob("*")))
    keys = [key for key, *_ in landed(kafka, instance)]
    assert keys == [f"L{number}" for number in range(3_000)]


async def test_a_paused_instance_takes_nothing_until_it_is_resumed(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    controls = Controls()
    controls.change(instance.name, control_output(instance.name, paused=True).value)
    running, beside = new_instance(kafka), tmp_path / "beside"
    beside.mkdir()
    write(inbox / "REF_1.csv", licences(1))
    async with (
        at_work(kafka, borrowed, drop(instance, inbox), tmp_path, controls),
        at_work(kafka, borrowed, drop(running, beside), tmp_path, controls),
    ):
        write(inbox / "REF_2.csv", licences(1, start=1))
        for number in range(1, 4):  # by the third, the paused one would have had its first for long
            write(beside / f"REF_{number}.csv", licences(1, start=number))
            await until(lambda number=number: len(landed(kafka, running)) == number)
        assert landed(kafka, instance) == []
        controls.change(instance.name, control_output(instance.name, paused=False).value)
        await until(lambda: len(landed(kafka, instance)) == 2)


async def test_a_halted_instance_says_why_and_goes_on_when_resumed(
    kafka: str, borrowed: Borrowed, instance: Instance, tmp_path: Path
) -> None:
    controls = Controls()
    missing = tmp_path / "not there yet"
    async with at_work(kafka, borrowed, drop(instance, missing), tmp_path, controls) as instances:
        health = instances.health[f"{instance.name}/files"]
        await until(lambda: health.halted)
        assert health.error == "the folder is not there: check `folder`"
        missing.mkdir()
        write(missing / "REF_1.csv", licences(1))
        controls.change(instance.name, control_output(instance.name, paused=False).value)
        await until(lambda: landed(kafka, instance))
        assert not health.halted


async def test_an_instance_fails_from_its_first_failure_on_until_it_works_or_is_paused(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    away = True

    class Away(Drop):
        def read(self, file: TextIO) -> Iterable[Any]:
            if away:
                raise Retry("it is away", after=0.05)
            return csv_rows(file)

    controls = Controls()
    async with at_work(kafka, borrowed, drop(instance, inbox, Away), tmp_path, controls) as instances:
        health = instances.health[f"{instance.name}/files"]
        await until(lambda: health.good_at)
        assert health.failing_since == 0
        write(inbox / "REF_1.csv", licences(1))
        await until(lambda: health.failing_since)
        first, second = health.failing_since, health.next_at + 0.1
        await until(lambda: health.next_at > second)
        assert health.failing_since == first
        controls.change(instance.name, control_output(instance.name, paused=True).value)
        await until(lambda: not health.failing_since)
        controls.change(instance.name, control_output(instance.name, paused=False).value)
        await until(lambda: health.failing_since)
        away = False
        await until(lambda: landed(kafka, instance))
        await until(lambda: not health.failing_since)


def test_csv_dict_reader_serves_too() -> None:
    class Plain(Drop):
        def read(self, file: TextIO) -> Iterable[Any]:
            return csv.DictReader(file)

    assert not isinstance(next(iter(Plain.read(None, iter(["a,b", "1,2"])))), BadRow)  # type: ignore[arg-type]


async def test_a_file_that_cannot_be_moved_to_quarantine_is_landed_and_set_aside_once(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    class Breaking(Drop):
        reads = 0

        def read(self, file: TextIO) -> Iterable[Any]:
            self.reads += 1
            yield from csv_rows(file)
            raise ValueError

    source = Breaking(instance, Folder(folder=str(inbox)))
    quarantine = inbox / "quarantine"
    quarantine.write_text("what is in the way of the folder")
    write(inbox / "REF_1.csv", licences(60))
    async with at_work(kafka, borrowed, source, tmp_path) as instances:
        (key,) = instances.health
        await until(lambda: instances.health[key].error.startswith("the file cannot be moved"))
        quarantine.unlink()
        await until(lambda: list(quarantine.glob("*")))
        write(inbox / "REF_2.csv", licences(1))
        await until(lambda: len(list(quarantine.glob("*"))) == 2)
        assert source.reads == 2
        # Somebody mended what was wrong with the first, and gives it again.
        next(quarantine.glob("REF_1*")).rename(inbox / "REF_1.csv")
        await until(lambda: source.reads == 3 and len(list(quarantine.glob("*"))) == 2)
    faults = [beside[FAULT] for *_, beside in landed(kafka, instance) if FAULT in beside]
    assert faults == ["the file cannot be read: ValueError"] * 3


class OneFails(LocalPlace):
    """One of its files can neither be read nor, as what failed may be the other, moved: that of another user, say."""

    fails = ""

    async def read(self, name: str, offset: int = 0) -> AsyncIterator[bytes]:
        if (name, "read") == (FIRST, self.fails):
            raise Retry("the file cannot be read: PermissionError")
        async for chunk in super().read(name, offset):
            yield chunk

    async def move(self, name: str, folder: str, new_name: str) -> None:
        if (name, "moved") == (FIRST, self.fails):
            raise Retry("the file cannot be moved: PermissionError")
        await super().move(name, folder, new_name)


FIRST = "REF_1.csv"


@pytest.mark.parametrize("fails", ["read", "moved"])
async def test_a_file_that_cannot_be_read_or_moved_is_told_and_holds_up_no_other(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, fails: str
) -> None:
    place = OneFails(inbox)
    place.fails = fails

    class Elsewhere(Drop):
        def place(self) -> Place:
            return place

    write(inbox / FIRST, licences(2))
    write(inbox / "REF_2.csv", licences(1, start=7))
    async with at_work(kafka, borrowed, drop(instance, inbox, Elsewhere), inbox.parent) as instances:
        health = instances.health[f"{instance.name}/files"]
        await until(lambda: list((inbox / "archive").glob("REF_2.*")))
        await until(lambda: health.error == f"the file cannot be {fails}: PermissionError")
        place.fails = ""
        await until(lambda: list((inbox / "archive").glob("REF_1.*")))
        await until(lambda: not health.error)
    first, second = ["L0", "L1"], ["L7"]
    order = second + first if fails == "read" else first + second
    assert [key for key, *_ in landed(kafka, instance)] == order


async def test_a_file_that_has_to_wait_for_its_quarantine_is_told_once_and_holds_up_no_other(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    quarantine = inbox / "quarantine"
    quarantine.write_text("what is in the way of the folder")
    for number in (1, 2):
        (inbox / f"REF_{number}.csv").write_text("\n" * number)
    write(inbox / "REF_3.csv", licences(1))
    async with at_work(kafka, borrowed, drop(instance, inbox), tmp_path / "one"):
        await until(lambda: list((inbox / "archive").glob("REF_3*")))
    quarantine.unlink()
    async with at_work(kafka, borrowed, drop(instance, inbox), tmp_path / "two"):
        await until(lambda: len(list(quarantine.glob("*"))) == 2)
        # Somebody gives one again, as it was.
        next(quarantine.glob("REF_1*")).rename(inbox / "REF_1.csv")
        await until(lambda: len(list(quarantine.glob("*"))) == 2)
    faults = [beside["file"] for *_, beside in landed(kafka, instance) if FAULT in beside]
    assert sorted(faults) == ["REF_1.csv", "REF_1.csv", "REF_2.csv"]


@pytest.mark.parametrize("name", ["\u00e9" * 123 + ".csv", "x" * 246 + ".csv", f"Dear Mr. {'Smith ' * 40}"])
async def test_a_file_whose_name_is_as_long_as_it_may_be_is_put_away_under_one_that_is_no_longer(
    inbox: Path, tmp_path: Path, name: str
) -> None:
    class Anything(Marked):
        pattern = "*"

    write(inbox / name, licences(2))
    (inbox / f"{name}.done").touch()
    source, memory = drop(Instance("one", "made", "E08000025"), inbox, Anything), InMemory()
    await drive(source, memory, tmp_path)
    assert [raw.key for raw in memory.landed(source)] == ["L0", "L1"]
    put_away = [path.name for path in (inbox / "archive").iterdir()]
    assert len(put_away) == 2 and all(found.startswith(name[:100]) for found in put_away)
    assert not name.endswith(".csv") or any(found.endswith(".csv") for found in put_away)
