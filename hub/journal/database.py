"""Opening the journal's database, on either dialect, and saying what is wrong with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError, InterfaceError, OperationalError

from hub.journal.tables import VERSION, meta, metadata

WAIT_S = 10.0
"""How long to wait for another writer of the same database."""

_BROKEN = "remove it (with its -wal and -shm files) and rebuild it from Kafka"
_SAID = {
    "locked": "another program has held its lock for too long; end that program, or wait",
    "is full": "its disk is full; make room",
    "readonly": "it may not be written; mend its permissions",
    "unable to open": "it cannot be opened; mend its folder or permissions",
    "disk i/o error": "its disk does not answer; see to the disk",
    "not a database": f"it is not a journal; {_BROKEN}",
    "malformed": f"it is damaged; {_BROKEN}",
}


class JournalError(Exception):
    """The journal cannot be used; the message says what to do."""


class JournalAwayError(JournalError):
    """It cannot be used at present: the same call may succeed later. Nothing of it was done."""


def open_database(where: Path | str, wait_s: float = WAIT_S) -> Engine:
    """The database at a path (SQLite) or a URL, its tables made. Raises JournalError for another version's.

    Safe to call from many processes at once. `wait_s` is how long a call waits for a lock, on SQLite.
    """
    # Values in the text of an error would be personal data in a log.
    engine = create_engine(f"sqlite:///{where}" if isinstance(where, Path) else where, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tuner(wait_s))
    try:
        with explained(engine), engine.connect() as connection:
            found = _version(connection)
            if found is None:
                connection.rollback()
                alone(connection)
                found = _version(connection) or _make(connection)
                connection.commit()
        if found != VERSION:
            older = "an older" if found < VERSION else "a newer"
            raise JournalError(
                f"the journal at {_name(engine)} was made by {older} hub (version {found}, this one has"
                f" {VERSION}); {_BROKEN}"
            )
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def explained(engine: Engine) -> Iterator[None]:
    """Turns what the database says into a JournalError with a remedy, and without anyone's data."""
    try:
        yield
    except (DatabaseError, InterfaceError) as error:
        said = str(error.orig).lower() if engine.dialect.name == "sqlite" else ""
        told = next((text for mark, text in _SAID.items() if mark in said), type(error.orig).__name__)
        broken = not isinstance(error, OperationalError | InterfaceError)
        kind = JournalError if broken else JournalAwayError
        raise kind(f"the journal at {_name(engine)}: {told}") from error


def upsert(engine: Engine, table: Any) -> Any:
    """The dialect's own INSERT … ON CONFLICT."""
    return (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(table)


Write = Callable[[Connection, Sequence[dict[str, Any]]], None]


def prepared(engine: Engine, statement: Any, names: Sequence[str]) -> Write:
    """A statement over rows of `names`, compiled once: Core's own handling of each row costs more than SQLite's.

    The statement has several names and holds no values of its own.
    """
    compiled = statement.compile(dialect=engine.dialect, column_keys=list(names))
    sql, order = str(compiled), compiled.positiontup
    pick = itemgetter(*order) if order else None

    def write(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        if rows:
            values = list(map(pick, rows)) if pick else list(rows)
            connection.exec_driver_sql(sql, values)

    return write


def least(engine: Engine) -> str:
    """The name of the dialect's function for the smaller of two values."""
    return "least" if engine.dialect.name == "postgresql" else "min"


def greatest(engine: Engine) -> str:
    """The name of the dialect's function for the greater of two values."""
    return "greatest" if engine.dialect.name == "postgresql" else "max"


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(meta.name):
        return None
    return connection.execute(select(meta.c.version)).scalar()


def _make(connection: Connection) -> int:
    metadata.create_all(connection)
    connection.execute(insert(meta).values(version=VERSION))
    return VERSION


def alone(connection: Connection) -> None:
    """Keeps other writers out until this transaction, which has only begun, is over."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('hub.journal'))")


def _name(engine: Engine) -> str:
    return engine.url.database or "memory" if engine.dialect.name == "sqlite" else str(engine.url)


def _tuner(wait_s: float) -> Any:
    def tune(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute(f"PRAGMA busy_timeout={int(wait_s * 1000)}")
        _share(connection, monotonic() + wait_s)
        # A crash of the machine may cost the last moments, which Kafka still has.
        connection.execute("PRAGMA synchronous=NORMAL")
        # 16 MB, not 2: ids are random, so a batch touches pages all over, which else spill before it is done.
        connection.execute("PRAGMA cache_size=-16000")
        # 40 MB, not 4: a page that many batches touch is then written back once.
        connection.execute("PRAGMA wal_autocheckpoint=10000")

    return tune


def _share(connection: sqlite3.Connection, until: float) -> None:
    """Lets readers read beside the writer.

    Two that switch a new database at once get "locked" without the wait that they asked for (the busy handler
    is not called where it could deadlock: sqlite.org/c3ref/busy_handler.html), so the wait is here.
    """
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or monotonic() > until:
                raise
            sleep(0.005)
