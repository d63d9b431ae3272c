"""The journal's database: made where there is none, and saying what is wrong with it. What hangs on the kind is in
`sqlite` and `postgresql`, which have the same names in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, func, inspect, select
from sqlalchemy import insert as plain_insert
from sqlalchemy.exc import DatabaseError, InterfaceError

from hub.journal import postgresql, sqlite
from hub.journal.tables import VERSION, meta, metadata

WAIT_S = 4.0
"""How long to wait for another writer of the same database; a server has twice as long to answer. Less than the
watchdog waits, who would take a stage to be stuck."""

Write = Callable[[Connection, Sequence[dict[str, Any]]], None]


class JournalError(Exception):
    """The journal cannot be used; the message says what to do."""


class JournalAwayError(JournalError):
    """It cannot be used at present: the same call may succeed later. Nothing of it was done."""


class JournalRefusedError(JournalError):
    """It takes none of what it was given, now or later: the fault is in that. Nothing of it was done."""


class Database:
    """SQLite at a path, or PostgreSQL at a URL, `postgresql://…`. Safe from any thread.

    Its tables are made by the first call that finds none, safely by many processes at once; so they are after it
    was removed. What is wrong with it is told by each call until that is mended. `wait_s` is how long a call waits
    for a lock.
    """

    def __init__(self, where: Path | str, wait_s: float = WAIT_S) -> None:
        self._kind: ModuleType = sqlite if isinstance(where, Path) else postgresql
        self.engine: Engine = self._kind.engine(where, wait_s)
        #: The database in which its tables were found or made; see `_prepare`.
        self._made: object = None

    @property
    def name(self) -> str:
        """Where it is, without what is secret."""
        url = self.engine.url
        return url.database or "" if self._kind is sqlite else str(url.set(drivername="postgresql"))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """For queries. Raises JournalError."""
        with self._explained():
            self._prepare()
            with self.engine.connect() as connection:
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction. Raises JournalError."""
        with self._explained():
            self._prepare()
            with self.engine.begin() as connection:
                yield connection

    @contextmanager
    def writing_alone(self) -> Iterator[Connection]:
        """One transaction, with all others kept out that are to be alone. Raises JournalError."""
        with self.writing() as connection:
            self._alone(connection)
            yield connection

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    def insert(self, table: Any) -> Any:
        """The dialect's own INSERT … ON CONFLICT."""
        return self._kind.insert(table)

    def least(self, one: Any, other: Any, **options: Any) -> ColumnElement[Any]:
        """The smaller of two values."""
        return getattr(func, self._kind.LEAST)(one, other, **options)  # type: ignore[no-any-return]

    def greatest(self, one: Any, other: Any, **options: Any) -> ColumnElement[Any]:
        """The greater of two values."""
        return getattr(func, self._kind.GREATEST)(one, other, **options)  # type: ignore[no-any-return]

    def prepared(self, statement: Any, names: Sequence[str]) -> Write:
        """A statement over rows of `names`, compiled once: Core's own handling of each row costs more than SQLite's.

        The statement has several names and holds no values of its own.
        """
        compiled = statement.compile(dialect=self.engine.dialect, column_keys=list(names))
        sql, order = str(compiled), compiled.positiontup
        pick: Callable[[dict[str, Any]], Any] = itemgetter(*order) if order else postgresql.row

        def write(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
            if rows:
                connection.exec_driver_sql(sql, list(map(pick, rows)))

        return write

    def _prepare(self) -> None:
        if self._made == self._kind.identity(self.engine):
            return
        self.engine.dispose()  # its connections may be to a file that was removed
        with self.engine.connect() as connection:
            found = _version(connection)
            if found is None:
                connection.rollback()
                self._alone(connection)
                found = _version(connection) or _make(connection)
                connection.commit()
        if found != VERSION:
            older = "an older" if found < VERSION else "a newer"
            raise JournalError(
                f"the journal at {self.name} was made by {older} hub (version {found}, this one has {VERSION});"
                f" {self._kind.BROKEN}"
            )
        self._made = self._kind.identity(self.engine)

    def _alone(self, connection: Connection) -> None:
        """Keeps other writers out until this transaction, which has only begun, is over."""
        connection.exec_driver_sql(self._kind.ALONE)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns what the database says into a JournalError with a remedy, and without anyone's data."""
        try:
            yield
        except (DatabaseError, InterfaceError) as error:
            told, passes = self._kind.told(error)
            other = JournalRefusedError if self._kind.refused(error) else JournalError
            kind = JournalAwayError if passes else other
            if kind is JournalError:
                self._made = None  # its tables may be gone
            raise kind(f"the journal at {self.name}: {told}") from error


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(meta.name):
        return None
    return connection.execute(select(meta.c.version)).scalar()


def _make(connection: Connection) -> int:
    metadata.create_all(connection)
    connection.execute(plain_insert(meta).values(version=VERSION))
    return VERSION
