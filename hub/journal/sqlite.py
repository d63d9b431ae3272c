"""SQLite as the journal's database: its settings, and what its errors mean."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError

__all__ = ["ALONE", "BROKEN", "GREATEST", "LEAST", "engine", "identity", "insert", "refused", "told"]

LEAST, GREATEST = "min", "max"
"""Functions."""

ALONE = "BEGIN IMMEDIATE"
"""Keeps other writers out."""

BROKEN = "remove it, with its -wal and -shm files, and it is made anew from Kafka"
"""What to do with a journal that is of no more use."""

_SAID = {
    "locked": "another program has held its lock for too long; end that program, or wait",
    "is full": "its disk is full; make room",
    "readonly": "it may not be written; mend its permissions",
    "unable to open": "it cannot be opened; mend its folder or permissions",
    "disk i/o error": "its disk does not answer; see to the disk",
    "not a database": f"it is not a journal; {BROKEN}",
    "malformed": f"it is damaged; {BROKEN}",
}


def engine(path: Path, wait_s: float) -> Engine:
    """The database at `path`; a call waits for a lock for `wait_s` seconds."""
    # Values in the text of an error would be personal data in a log.
    made = create_engine(f"sqlite:///{path}", hide_parameters=True)
    event.listen(made, "connect", _tuner(wait_s))
    return made


def identity(engine: Engine) -> tuple[int, ...]:
    """What tells the file from another that takes its place; nothing where there is none."""
    try:
        found = Path(engine.url.database or "").stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino


def told(error: DBAPIError) -> tuple[str, bool]:
    """What went wrong, and whether that passes."""
    said = str(error.orig).lower()
    text = next((text for mark, text in _SAID.items() if mark in said), type(error.orig).__name__)
    return text, isinstance(error, OperationalError | InterfaceError)


def refused(error: DBAPIError) -> bool:
    """Whether what was to be written is at fault: no column holds it."""
    return isinstance(error, DataError)


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
