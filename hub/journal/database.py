"""Opening the journal's database, on either dialect."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from hub.journal.tables import VERSION, meta, metadata


class JournalError(Exception):
    """The journal cannot be used; the message says what to do."""


def open_database(where: Path | str) -> Engine:
    """The database at a path (SQLite) or a URL, its tables made. Raises JournalError for another version's."""
    engine = create_engine(f"sqlite:///{where}" if isinstance(where, Path) else where)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _tune_sqlite)
    metadata.create_all(engine)
    with engine.begin() as connection:
        found = connection.execute(select(meta.c.version)).scalar()
        if found is None:
            try:
                with connection.begin_nested():
                    connection.execute(insert(meta).values(version=VERSION))
            except IntegrityError:  # another process was quicker
                found = VERSION
    if found not in (None, VERSION):
        raise JournalError(
            f"the journal at {where} is of version {found}, this hub writes {VERSION};"
            " remove it and it is rebuilt from Kafka"
        )
    return engine


def upsert(engine: Engine, table: Any) -> Any:
    """The dialect's own INSERT … ON CONFLICT."""
    return (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(table)


def least(engine: Engine) -> str:
    """The name of the dialect's function for the smaller of two values."""
    return "least" if engine.dialect.name == "postgresql" else "min"


def greatest(engine: Engine) -> str:
    """The name of the dialect's function for the greater of two values."""
    return "greatest" if engine.dialect.name == "postgresql" else "max"


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    # Readers beside the writer; a crash of the machine may cost the last moments, which Kafka still has.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
