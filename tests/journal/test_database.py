"""The journal's database, of either kind: shared by processes, explained when it cannot be used, free of payloads."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.schema import DropTable

from hub.journal.database import Database, JournalAwayError, JournalError
from hub.journal.queries import Queries
from hub.journal.store import Journal
from hub.journal.tables import deliveries, meta, metadata
from tests.journal.conftest import Fresh


@pytest.fixture
def where(fresh: Fresh) -> Path | str:
    return fresh()


def _open(where: Path | str, barrier: Any, said: Any) -> None:
    barrier.wait()
    try:
        Queries(where).counts()
        said.put("opened")
    except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
        said.put(repr(error))


def test_processes_that_start_together_all_open_a_new_journal(where: Path | str) -> None:
    processes = multiprocessing.get_context("spawn")
    barrier, said = processes.Barrier(4), processes.Queue()
    started = [processes.Process(target=_open, args=(where, barrier, said), daemon=True) for _ in range(4)]
    for process in started:
        process.start()
    assert [said.get(timeout=60) for _ in started] == ["opened"] * 4
    for process in started:
        process.join()


def test_readers_see_whole_batches_while_one_writes(journal: Journal, where: Path | str, case: Any) -> None:
    done, seen = threading.Event(), []

    def read() -> None:
        queries = Queries(where)
        while not done.is_set():
            seen.append(sum(queries.counts().outcomes.values()))
        seen.append(sum(queries.counts().outcomes.values()))
        queries.close()

    readers = [threading.Thread(target=read, daemon=True) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for number in range(40):
            journal.apply(case(str(number)).whole())
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert set(seen) <= set(range(0, 241, 6))
    assert seen.count(240) >= 3


def test_a_locked_journal_is_explained_and_the_batch_can_come_again(path: Path, case: Any) -> None:
    journal = Journal.open(path, wait_s=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(JournalAwayError, match=r"journal\.db: another program has held its lock"):
        journal.apply(case().whole())
    other.execute("ROLLBACK")
    other.close()
    journal.apply(case().whole())
    journal.close()


def test_a_full_disk_is_explained_and_nothing_is_half_written(path: Path, case: Any) -> None:
    journal, queries = Journal.open(path), Queries(path)
    assert journal.begun() == set()
    with journal._database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
        connection.rollback()
    with pytest.raises(JournalAwayError, match="its disk is full"):
        journal.apply([entry for number in range(200) for entry in case(str(number)).whole()])
    assert queries.counts().outcomes == {}
    journal.close()
    queries.close()


@pytest.mark.parametrize(("version", "made_by"), [(1, "an older hub"), (99, "a newer hub")])
def test_a_journal_of_another_version_is_explained(where: Path | str, version: int, made_by: str) -> None:
    database = Database(where)
    with database.writing() as connection:
        connection.execute(update(meta).values(version=version))
    database.close()
    for use in (Journal.open(where).begun, Queries(where).counts):
        with pytest.raises(
            JournalError, match=f"{made_by} .*(remove it|drop its tables).* made anew from Kafka"
        ):
            use()


def test_a_file_that_is_no_journal_is_explained(path: Path) -> None:
    path.write_bytes(b"payload," * 1000)
    with pytest.raises(JournalError, match="it is not a journal") as caught:
        Journal.open(path).begun()
    assert not isinstance(caught.value, JournalAwayError)


def test_a_folder_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(JournalError, match="it cannot be opened"):
        Journal.open(tmp_path / "nowhere" / "journal.db").begun()


def test_one_that_is_removed_while_it_is_in_use_is_made_anew_and_used(path: Path, case: Any) -> None:
    journal, queries = Journal.open(path), Queries(path)
    for number in range(2):
        assert queries.counts().outcomes == {}
        journal.apply(case(str(number)).whole())
        assert sum(queries.counts().outcomes.values()) == 6
        remove(path)
    path.write_bytes(b"payload," * 1000)
    for use in (journal.begun, queries.counts):
        with pytest.raises(JournalError, match="it is not a journal"):
            use()
    remove(path)
    assert (queries.counts().outcomes, journal.begun()) == ({}, set())


def remove(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def test_no_error_repeats_what_an_entry_said(journal: Journal, case: Any) -> None:
    with journal._database.writing() as connection:
        connection.execute(DropTable(deliveries))
    with pytest.raises(JournalError) as caught:
        journal.apply(case("of-ada-lovelace").whole())
    said, error = "", caught.value
    while error:
        said, error = said + str(error), error.__cause__ or error.__context__
    assert "ada" not in said


def test_no_column_holds_a_payload() -> None:
    columns = {column.name for table in metadata.sorted_tables for column in table.columns}
    assert columns.isdisjoint({"data", "payload", "value", "body", "key", "headers", "raw"})
    kinds = {str(column.type) for table in metadata.sorted_tables for column in table.columns}
    assert kinds == {"VARCHAR", "INTEGER", "BIGINT", "FLOAT"}
