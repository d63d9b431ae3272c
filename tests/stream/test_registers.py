"""Two registers in a row yield exactly their differences, whatever dies in between."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, TextIO

import pytest
from structlog.testing import capture_logs

from hub.sdk import Change, Fact, Instance, RegisterSource, csv_rows
from hub.sdk.connector import FAULT
from hub.sdk.places import Place
from hub.stream import failpoints, filing, registers
from hub.stream.failpoints import VARIABLE
from hub.stream.register_cache import RegisterCache
from hub.testing.in_memory import InMemory, drive
from tests.stream.at_work import EMITS, Borrowed, Folder, Row, at_work, landed, new_instance
from tests.stream.copying import until
from tests.stream.test_file_drops import Measured, OneFails, write


class Register(RegisterSource[Folder, Row]):
    emits = EMITS
    settled_after = timedelta(seconds=0.05)

    def read(self, file: TextIO) -> Iterable[Any]:
        return csv_rows(file)

    def row_key(self, row: Mapping[str, Any]) -> str:
        return str(row["licence"])

    def events(self, record: Change[Row]) -> Iterator[Fact]:
        return iter(())


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(filing, "PORTION", 40)
    monkeypatch.setattr(registers, "PORTION", 40)
    yield
    failpoints.set_points({})


@pytest.fixture(scope="module")
def borrowed(kafka: str) -> Borrowed:
    return Borrowed(kafka)


@pytest.fixture
def instance(kafka: str) -> Instance:
    return new_instance(kafka)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    made = tmp_path / "inbox"
    made.mkdir()
    return made


def register(instance: Instance, inbox: Path) -> Register:
    return Register(instance, Folder(folder=str(inbox)))


def put(inbox: Path, name: str, entries: Mapping[str, str]) -> None:
    write(inbox / name, entries.items())


def changes(kafka: str, instance: Instance) -> list[Mapping[str, Any]]:
    found = landed(kafka, instance)
    assert all(key == change["key"] for key, change, beside in found if FAULT not in beside)
    return [change for _, change, beside in found if FAULT not in beside]


def told(found: Iterable[Mapping[str, Any]]) -> Counter[tuple[str, str, str, str]]:
    """Kind, key, holder before and after of each change."""
    return Counter(
        (c["kind"], c["key"], (c["before"] or {}).get("holder", ""), (c["after"] or {}).get("holder", ""))
        for c in found
    )


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> Counter[tuple[str, str, str, str]]:
    found = [("added", key, "", after[key]) for key in after.keys() - before.keys()]
    found += [("removed", key, before[key], "") for key in before.keys() - after.keys()]
    both = before.keys() & after.keys()
    return Counter(found + [("changed", k, before[k], after[k]) for k in both if before[k] != after[k]])


def archived(inbox: Path, count: int, folder: str = "archive") -> Any:
    return lambda: len(list((inbox / folder).glob("*"))) == count


async def test_a_second_register_yields_exactly_the_differences(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    first = {f"L{n}": f"holder {n}" for n in range(300)}
    second = {**first, "L7": "another", "new": "somebody"}
    del second["L3"], second["L299"]
    async with at_work(kafka, borrowed, register(instance, inbox), tmp_path):
        put(inbox, "1.csv", first)
        await until(archived(inbox, 1))
        put(inbox, "2.csv", second)
        await until(archived(inbox, 2))
        put(inbox, "3.csv", first)
        await until(archived(inbox, 3))
        put(inbox, "4.csv", first)
        await until(archived(inbox, 4))
    steps = [({}, first), (first, second), (second, first)]
    assert told(changes(kafka, instance)) == sum((differences(*step) for step in steps), Counter())
    ids = [change["id"] for change in changes(kafka, instance)]
    assert len(ids) == len(set(ids))


async def test_what_dies_in_the_middle_is_gone_on_with_from_any_machine(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    """Killed at random points of each, on a disk that is sometimes another: neither lost nor repeated."""
    rng = random.Random(7)
    first = {f"L{n}": f"holder {n}" for n in range(1_500)}
    second = {k: (v if rng.random() < 0.8 else v + "!") for k, v in first.items() if rng.random() < 0.9}
    expected = differences({}, first) + differences(first, second)
    for number, entries in enumerate((first, second), start=1):
        put(inbox, f"{number}.csv", entries)
        within, done = tmp_path / f"within-{number}", archived(inbox, number)
        failpoints.set_points({VARIABLE: f"poll.commit:hang-after:{rng.randrange(2, 12)}@{within}"})
        while not done():
            held, disk = not within.exists(), tmp_path / f"disk {rng.randrange(3)}"
            goal = len(changes(kafka, instance)) + rng.randrange(1, 400)
            reached = lambda goal=goal, done=done: done() or len(changes(kafka, instance)) >= goal  # noqa: E731
            async with at_work(kafka, borrowed, register(instance, inbox), disk):
                await until(within.exists if held else reached)
            assert not (held and done()), "it was not killed with the register in hand"
    found = told(changes(kafka, instance))
    assert (found - expected, expected - found) == (Counter(), Counter())


async def test_a_register_that_lost_most_entries_removes_nothing_and_is_quarantined(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    first = {f"L{n}": "holder" for n in range(200)}
    cut = {f"L{n}": "holder" for n in range(50)} | {"L9": "another"}
    async with at_work(kafka, borrowed, register(instance, inbox), tmp_path):
        put(inbox, "1.csv", first)
        await until(archived(inbox, 1))
        put(inbox, "2.csv", cut)
        await until(archived(inbox, 1, "quarantine"))
        put(inbox, "3.csv", {**first, "L9": "another", "L8": "a third"})
        await until(archived(inbox, 2))
    after_first = told(changes(kafka, instance)) - differences({}, first)
    assert after_first == Counter(
        [("changed", "L9", "holder", "another"), ("changed", "L8", "holder", "a third")]
    )
    faults = [beside[FAULT] for *_, beside in landed(kafka, instance) if FAULT in beside]
    assert faults == ["150 of 200 entries are missing: the file may be cut off, nothing is removed"]


async def test_a_register_that_goes_back_after_one_that_was_given_up_tells_so(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    first = {f"L{n}": "holder" for n in range(200)}
    async with at_work(kafka, borrowed, register(instance, inbox), tmp_path):
        put(inbox, "1.csv", first)
        await until(archived(inbox, 1))
        put(inbox, "2.csv", {"L9": "another"})
        await until(archived(inbox, 1, "quarantine"))
        put(inbox, "3.csv", first)
        await until(archived(inbox, 2))
    assert told(changes(kafka, instance)) - differences({}, first) == Counter(
        [("changed", "L9", "holder", "another"), ("changed", "L9", "another", "holder")]
    )


async def test_a_second_row_with_one_key_is_set_aside_also_when_it_is_read_again(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    rows = [(f"L{n}", "holder") for n in range(100)]
    rows.insert(60, ("L5", "twin"))
    rows.append(("", "nobody"))
    write(inbox / "1.csv", rows)
    for life in range(3):
        async with at_work(kafka, borrowed, register(instance, inbox), tmp_path / str(life)):
            await until(lambda life=life: len(landed(kafka, instance)) > 40 * life)
    async with at_work(kafka, borrowed, register(instance, inbox), tmp_path / "last"):
        await until(archived(inbox, 1))
    assert told(changes(kafka, instance)) == Counter(("added", f"L{n}", "", "holder") for n in range(100))
    faults = {beside["line"]: beside[FAULT] for *_, beside in landed(kafka, instance) if FAULT in beside}
    assert faults == {"61": "a row with this key came before", "102": "the row has no key"}
    assert len(landed(kafka, instance)) == 102


async def test_a_file_given_up_in_the_middle_does_not_confuse_the_next(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    class Breaking(Register):
        def read(self, file: TextIO) -> Iterable[Any]:
            for row in csv_rows(file):
                if isinstance(row, dict) and row["holder"] == "break":
                    raise ValueError
                yield row

    source = Breaking(instance, Folder(folder=str(inbox)))
    write(inbox / "1.csv", [*((f"L{n}", "holder") for n in range(90)), ("x", "break")])
    async with at_work(kafka, borrowed, source, tmp_path):
        await until(archived(inbox, 1, "quarantine"))
        put(inbox, "2.csv", {f"L{n}": "holder" for n in range(95)})
        await until(archived(inbox, 1))
    assert told(changes(kafka, instance)) == Counter(("added", f"L{n}", "", "holder") for n in range(95))
    faults = [beside[FAULT] for *_, beside in landed(kafka, instance) if FAULT in beside]
    assert faults == ["the file cannot be read: ValueError"]


async def test_a_register_whose_reading_breaks_off_is_read_again_and_nothing_of_it_is_called_a_repeat(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    source = Stumbling(instance, Folder(folder=str(inbox)))
    first = {f"L{n}": "holder" for n in range(200)}
    async with at_work(kafka, borrowed, source, tmp_path):
        put(inbox, "1.csv", first)
        await until(archived(inbox, 1))
        source.after = 150  # of rows that are as they were, so that nothing is committed
        put(inbox, "2.csv", {**first, "L199": "another"})
        await until(archived(inbox, 2))
    assert told(changes(kafka, instance)) - differences({}, first) == Counter(
        [("changed", "L199", "holder", "another")]
    )
    assert not [beside[FAULT] for *_, beside in landed(kafka, instance) if FAULT in beside]


async def test_what_only_a_register_had_that_was_replaced_while_its_reader_died_is_removed(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    source = Stumbling(instance, Folder(folder=str(inbox)))
    first = {f"L{n}": "holder" for n in range(200)}
    third = {key: holder for key, holder in first.items() if key != "L7"}
    async with at_work(kafka, borrowed, source, tmp_path):
        put(inbox, "1.csv", first)
        await until(archived(inbox, 1))
        source.after, source.stumbled = 150, lambda: put(inbox, "2.csv", third)
        put(inbox, "2.csv", {**first, "L199": "another"})
        await until(lambda: not source.after)
    async with at_work(kafka, borrowed, source, tmp_path):
        await until(archived(inbox, 2))
    assert told(changes(kafka, instance)) == differences({}, first) + differences(first, third)


async def test_a_copy_that_fails_to_take_over_what_is_committed_reads_it_from_kafka(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    apply, calls = RegisterCache.apply, count(1)

    def full(cache: RegisterCache, *args: Any) -> None:
        if next(calls) == 3:
            raise sqlite3.OperationalError("database or disk is full")
        apply(cache, *args)

    first = {f"L{n}": "holder" for n in range(200)}
    second = {**first, "L100": "another"}
    del second["L101"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RegisterCache, "apply", full)
        async with at_work(kafka, borrowed, register(instance, inbox), tmp_path):
            put(inbox, "1.csv", first)
            await until(archived(inbox, 1))
            put(inbox, "2.csv", second)
            await until(archived(inbox, 2))
    assert next(calls) > 3
    assert told(changes(kafka, instance)) == differences({}, first) + differences(first, second)


async def test_a_register_that_cannot_be_read_is_waited_for_lest_an_older_one_undo_a_newer(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    place = OneFails(inbox)
    place.fails = "read"

    class Elsewhere(Register):
        def place(self) -> Place:
            return place

    first, second = {"L1": "a", "L2": "b"}, {"L1": "a", "L2": "c"}
    put(inbox, "REF_1.csv", first)
    put(inbox, "REF_2.csv", second)
    source = Elsewhere(instance, Folder(folder=str(inbox)))
    async with at_work(kafka, borrowed, source, tmp_path) as instances:
        health = instances.health[source.key]
        await until(lambda: health.error)
        after = health.next_at
        await until(lambda: health.next_at > after + 1)  # it failed again
        assert not changes(kafka, instance)
        place.fails = ""
        await until(archived(inbox, 2))
    assert told(changes(kafka, instance)) == differences({}, first) + differences(first, second)


class Undecided(Register):
    """Cannot compare with what has no date."""

    def supersedes(self, before: Row, after: Row) -> bool:
        if after.holder.startswith("undated"):
            raise TypeError("'<' not supported between instances of 'date' and 'NoneType'")
        return True


async def test_a_row_that_cannot_be_compared_is_told_and_costs_neither_the_row_before_nor_the_next_registers(
    inbox: Path, tmp_path: Path
) -> None:
    source = Undecided(Instance("one", "made", "E08000025"), Folder(folder=str(inbox)))
    source.settled_after = timedelta()  # type: ignore[misc] - of this object alone
    first, second, third = {"L1": "a", "L2": "b"}, {"L1": "undated", "L2": "undated"}, {"L1": "c"}
    memory = InMemory()
    with capture_logs() as logs:
        for number, entries in enumerate((first, second, third), start=1):
            put(inbox, f"{number}.csv", entries)
            await drive(source, memory, tmp_path)
    found = told(json.loads(raw.body) for raw in memory.landed(source))
    assert found == differences({}, first) + differences(first, second) + differences(first, third)
    warned = [(entry["event"], entry["error"]) for entry in logs if entry["log_level"] == "warning"]
    assert warned == [("rows-not-compared", "TypeError")] * 2, "once of each register that has such rows"
    assert "NoneType" not in str(logs)


def noise(first: int, count: int) -> str:
    """Text of signs from one on, which cannot be packed: Kafka takes much of what repeats itself."""
    return "".join(map(chr, random.Random(7).choices(range(first, first + 512), k=count)))


async def test_a_row_too_large_beside_the_one_before_is_set_aside_and_what_comes_after_is_compared_with_that(
    kafka: str, borrowed: Borrowed, instance: Instance, inbox: Path, tmp_path: Path
) -> None:
    source = Undecided(instance, Folder(folder=str(inbox)))
    first = {"L1": noise(0xC0, 600_000), "L2": "holder"}
    second = {"L1": "undated" + noise(0xC0, 600_000), "L2": "another", "L3": noise(0x4E00, 800_000)}
    third = {"L1": "somebody", "L2": "another", "L3": "a third"}
    async with at_work(kafka, borrowed, source, tmp_path):
        for number, entries in enumerate((first, second, third), start=1):
            put(inbox, f"{number}.csv", entries)
            await until(archived(inbox, number))
    taken = {**first, "L2": "another"}
    expected = differences({}, first) + differences(first, taken) + differences(taken, third)
    assert told(changes(kafka, instance)) == expected
    faults = {beside["line"]: beside[FAULT] for *_, beside in landed(kafka, instance) if FAULT in beside}
    assert faults == {
        "1": "with the row before it, a record of 2400063 bytes, where 2031616 are taken",
        "3": "a record of 2400028 bytes, where 2031616 are taken",
    }


async def test_changes_and_removals_however_large_are_landed_in_transactions_of_bounded_size(
    inbox: Path, tmp_path: Path
) -> None:
    source = register(Instance("one", "made", "E08000025"), inbox)
    source.settled_after, source.most_removed = timedelta(), 1.0  # type: ignore[misc] - of this object alone
    large = {f"L{n}": "x" * 800_000 for n in range(45)}
    taken: list[Mapping[str, str]] = [{}, large, dict.fromkeys(large, "small"), large, {"L0": "small"}]
    memory = Measured()
    for number, entries in enumerate(taken[1:], start=1):
        put(inbox, f"{number}.csv", entries)
        await drive(source, memory, tmp_path)
    found = told(json.loads(raw.body) for raw in memory.landed(source))
    assert found == sum(map(differences, taken, taken[1:]), Counter())
    memory.assert_bounded()


class Stumbling(Register):
    """Cannot read on, once, after so many rows; `stumbled` is called just then."""

    after = 0

    def stumbled(self) -> None: ...

    def read(self, file: TextIO) -> Iterable[Any]:
        for number, row in enumerate(csv_rows(file)):
            if number == self.after > 0:
                self.after = 0
                self.stumbled()
                raise OSError
            yield row
