"""A register as it stood after the last file: the truth in `hub.registers`, a copy on this worker's disk.

The copy is SQLite, one file per source, so that a register of any length costs no memory. It can be dropped:
`open` reads what it lacks from Kafka, or all of it.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import time

import msgspec
import structlog

from hub.sdk.sinks import Entry
from hub.stream import topics
from hub.stream.reading import Log
from hub.stream.records import Output

logger = structlog.get_logger()

#: A copy that was not read on for longer might have missed a removal, which Kafka forgets after 7 days.
_TRUSTED_S = 6 * 86_400.0

_TABLES = """
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, row BLOB NOT NULL, seen INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS copy (offset INTEGER NOT NULL, read_at REAL NOT NULL);
"""

_SEPARATOR = b"\x1f"


def entry_output(owner: str, partition: int, entry: Entry) -> Output:
    """The record that does to a register what an event does."""
    row = None if entry.row is None else msgspec.json.encode(entry.row)
    return Output(topics.REGISTERS, owner.encode() + _SEPARATOR + entry.key.encode(), row, [], partition)


class Abandoned(Exception):
    """Nobody waits for the end of this."""


class RegisterCache:
    """The entries of one source's register. `seen` is the number of the register in which an entry stood last.

    Used by one thread at a time. Only the holder of the source's partition may write entries to Kafka.
    """

    def __init__(self, log: Log, folder: Path, key: str, partition: int) -> None:
        self._log = log
        self._path = folder / (re.sub(r"[^A-Za-z0-9-]", "_", key) + ".db")
        self._prefix = key.encode() + _SEPARATOR
        self._partition = partition
        self._database: sqlite3.Connection | None = None
        self._abandoned = False

    def abandon(self) -> None:
        """Have reading, on another thread, come to its end: nobody waits for it any more."""
        self._abandoned = True

    def open(self) -> None:
        """Bring the copy up to what is committed. Raises KafkaException."""
        try:
            self._database = self._connect()
            self.catch_up()
        except sqlite3.DatabaseError:
            self._make_anew()

    def begin(self, number: int) -> None:
        """Register `number` is read from its start: nothing of it was seen. Raises KafkaException.

        What is committed of it is read from Kafka, since the copy may have failed to take it over.
        """
        try:
            self.catch_up()
            with self._sql as sql:
                sql.execute("UPDATE entries SET seen = 0 WHERE seen = ?", (number,))
        except sqlite3.DatabaseError:
            self._make_anew()

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()
            self._database = None

    def get(self, key: str) -> tuple[bytes, int] | None:
        """An entry's row and when it was seen last."""
        found: tuple[bytes, int] | None = self._sql.execute(
            "SELECT row, seen FROM entries WHERE key = ?", (key,)
        ).fetchone()
        return found

    def apply(
        self, number: int, seen: Iterable[str], stored: Iterable[tuple[str, bytes]], gone: Iterable[str]
    ) -> None:
        """Take over what is committed: entries seen as they were, entries stored anew, entries that are gone."""
        with self._sql as sql:
            sql.executemany("UPDATE entries SET seen = ? WHERE key = ?", ((number, key) for key in seen))
            sql.executemany(
                "INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE SET row = excluded.row,"
                " seen = excluded.seen",
                ((key, row, number) for key, row in stored),
            )
            sql.executemany("DELETE FROM entries WHERE key = ?", ((key,) for key in gone))

    def unseen(self, number: int, most: int) -> Iterator[tuple[str, bytes]]:
        """Some of the entries that register `number` does not have."""
        return self._sql.execute("SELECT key, row FROM entries WHERE seen <> ? LIMIT ?", (number, most))

    def count(self, unseen_in: int | None = None) -> int:
        """How many entries there are, or how many of them register `unseen_in` does not have."""
        asked = "SELECT count(*) FROM entries WHERE seen IS NOT ?"
        return int(self._sql.execute(asked, (unseen_in,)).fetchone()[0])

    def after(self, key: str, most: int) -> list[tuple[str, bytes]]:
        """The entries that follow a key, in order."""
        found: list[tuple[str, bytes]] = self._sql.execute(
            "SELECT key, row FROM entries WHERE key > ? ORDER BY key LIMIT ?", (key, most)
        ).fetchall()
        return found

    def digest(self) -> str:
        """SHA-256 of all entries in order, hex; empty where there is none."""
        digest, empty = hashlib.sha256(), True
        for key, row in self._sql.execute("SELECT key, row FROM entries ORDER BY key"):
            empty = False
            if self._abandoned:
                raise Abandoned
            digest.update(b"%d %s %d %s " % (len(key), key.encode(), len(row), row))
        return "" if empty else digest.hexdigest()

    def read_up(self) -> None:
        """Our own entries are in the copy already: next time, reading begins behind them. Raises KafkaException."""
        _, high = self._log.bounds(topics.REGISTERS, self._partition)
        self._note(high)

    def output(self, key: str, row: bytes | None) -> Output:
        """The record that makes an entry what it is now, or takes it away."""
        return Output(topics.REGISTERS, self._prefix + key.encode(), row, [], self._partition)

    @property
    def _sql(self) -> sqlite3.Connection:
        assert self._database is not None, "open first"
        return self._database

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(self._path, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_TABLES)
        return database

    def _make_anew(self) -> None:
        logger.warning("register-copy-dropped", path=self._path.name)
        self.close()
        self._path.unlink(missing_ok=True)
        self._database = self._connect()
        self.catch_up()

    def catch_up(self) -> None:
        """Read what was committed since. Raises KafkaException."""
        self._abandoned = False
        low, high = self._log.bounds(topics.REGISTERS, self._partition)
        known = self._sql.execute("SELECT offset, read_at FROM copy").fetchone()
        start = known[0] if known and low <= known[0] <= high and time() - known[1] < _TRUSTED_S else -1
        if start < 0:
            with self._sql as sql:
                sql.execute("DELETE FROM entries")
                sql.execute("DELETE FROM copy")
            start = low
        if start == high:
            self._note(high)
            return
        stored: dict[str, bytes | None] = {}
        for message in self._log.read(topics.REGISTERS, self._partition, start):
            if self._abandoned:
                raise Abandoned
            if message.key().startswith(self._prefix):
                stored[message.key()[len(self._prefix) :].decode()] = message.value()
                if len(stored) >= 10_000:
                    self._store(stored)
        self._store(stored)
        self._note(high)

    def _store(self, read: dict[str, bytes | None]) -> None:
        stored = [(key, row) for key, row in read.items() if row is not None]
        self.apply(0, (), stored, [key for key, row in read.items() if row is None])
        read.clear()

    def _note(self, offset: int) -> None:
        with self._sql as sql:
            sql.execute("DELETE FROM copy")
            sql.execute("INSERT INTO copy VALUES (?, ?)", (offset, time()))
