"""PostgreSQL as the journal's database: its connections, none of which waits for ever, and what its errors mean."""

from __future__ import annotations

import os
from contextlib import suppress
from socket import SHUT_RDWR, socket
from threading import Timer
from typing import Any

from sqlalchemy import Engine, NullPool, create_engine, event, make_url
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError

from hub.journal.tables import storable

__all__ = ["ALONE", "BROKEN", "GREATEST", "LEAST", "engine", "identity", "insert", "refused", "row", "told"]

LEAST, GREATEST = "least", "greatest"
"""Functions."""

ALONE = "SELECT pg_advisory_xact_lock(hashtext('hub.journal'))"
"""Keeps other writers out."""

BROKEN = "drop its tables, and they are made anew from Kafka"
"""What to do with a journal that is of no more use."""

#: What passes, or can be mended while we wait, by how its code begins (PostgreSQL's manual, appendix A).
_CODES = {
    "08": "its connections fail; see to the network",
    "25006": "it may only be read, as a standby server; name the primary",
    "40": "another transaction was in the way",
    "42501": "we may not do what we have to; grant it",
    "53": "it has no disk, memory or connections left; make room",
    "55P03": "another program has held its lock for too long; end that program, or wait",
    "57": "it stops, or somebody has stopped us",
    "58": "its machine fails; see to its log",
}


def engine(url: str, wait_s: float) -> Engine:
    """The database at `url`, `postgresql://…`; a call waits for a lock for `wait_s` seconds, and lasts twice as long.

    A connection serves one call: none is left over from before the server was away.
    """
    made = create_engine(
        make_url(url).set(drivername="postgresql+psycopg"),
        hide_parameters=True,  # they would be personal data in a log
        poolclass=NullPool,
        connect_args={
            "connect_timeout": max(2, int(wait_s)),  # seconds; libpq takes no fewer
            "options": f"-c lock_timeout={int(wait_s * 1000)}",
        },
    )

    def limit(connection: Any, record: Any, _proxy: Any) -> None:
        record.info["limit"] = _Limit(connection.fileno(), 2 * wait_s)

    def lift(_connection: Any, record: Any) -> None:
        if held := record.info.pop("limit", None):
            held.lift()

    event.listen(made, "checkout", limit)
    event.listen(made, "checkin", lift)
    return made


def identity(_engine: Engine) -> str:
    """Always the same: no connection is left over to one that was there before."""
    return ""


def told(error: DBAPIError) -> tuple[str, bool]:
    """What went wrong, and whether that passes."""
    code = getattr(error.orig, "sqlstate", None) or ""
    if not code and isinstance(
        error, OperationalError | InterfaceError
    ):  # libpq's, about the connection alone
        return f"it does not answer ({' '.join(str(error.orig).split())})", True
    text = next((text for start, text in _CODES.items() if code.startswith(start)), "")
    return text or f"{type(error.orig).__name__} {code}".strip(), bool(text)


def refused(error: DBAPIError) -> bool:
    """Whether what was to be written is at fault: no column holds it, or no index (class 54)."""
    code = getattr(error.orig, "sqlstate", None) or ""
    return isinstance(error, DataError) or code.startswith("54")


def row(values: dict[str, Any]) -> dict[str, Any]:
    """As its texts can hold it."""
    return {name: storable(value) if isinstance(value, str) else value for name, value in values.items()}


class _Limit:
    """Ends a connection that is in use for longer than `seconds`: libpq would wait for a frozen server for ever."""

    def __init__(self, file: int, seconds: float) -> None:
        self._socket = socket(fileno=os.dup(file))
        self._timer = Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def _end(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(SHUT_RDWR)

    def lift(self) -> None:
        """It is given back."""
        self._timer.cancel()
        self._socket.close()
