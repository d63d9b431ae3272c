"""Where the stage's hub keeps its journal: a SQLite file, or a PostgreSQL of the stage's own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from hub.journal import postgresql, sqlite
from tests.postgres import Postgres


class SqliteFile:
    """`journal.db` in the data directory."""

    server: None = None

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def locked(self) -> Iterator[None]:
        """For the length of the block nobody else may write."""
        with closing(sqlite3.connect(self._path, isolation_level=None, timeout=10)) as lock:
            lock.execute(sqlite.ALONE)
            yield
            lock.execute("ROLLBACK")

    def remove(self) -> None:
        """Under the hub."""
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink()


class PostgresDatabase:
    """The database of a `server`."""

    def __init__(self, server: Postgres) -> None:
        self.server = server

    @contextmanager
    def locked(self) -> Iterator[None]:
        """For the length of the block nobody else may write."""
        with psycopg.connect(self.server.url) as lock:
            lock.execute(postgresql.ALONE.encode())
            yield

    def remove(self) -> None:
        """Under the hub."""
        self.server.clear()
