"""The journal's database locked by somebody, or its file gone: events go on without it."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

from tests.chaos.fault import Fault, Laboratory, fault


@fault("journal-locked", "data")
class JournalLocked(Fault):
    """Somebody holds the journal's lock for longer than its writers wait."""

    least, most = 6.0, 8.0

    async def begin(self, lab: Laboratory) -> None:
        """Take it, on a thread of its own, since a connection belongs to one."""
        self._over = threading.Event()
        taken = threading.Event()

        def hold() -> None:
            lock = sqlite3.connect(lab.stage.data / "journal.db", isolation_level=None, timeout=10)
            lock.execute("BEGIN EXCLUSIVE")
            taken.set()
            self._over.wait()
            lock.execute("ROLLBACK")
            lock.close()

        self._thread = threading.Thread(target=hold, daemon=True)
        self._thread.start()
        await asyncio.to_thread(taken.wait, 10)

    async def end(self, lab: Laboratory) -> None:
        """Give it back."""
        self._over.set()
        await asyncio.to_thread(self._thread.join)


@fault("journal-gone", "data")
class JournalGone(Fault):
    """The journal's files are deleted under the hub."""

    async def begin(self, lab: Laboratory) -> None:
        """Delete them."""
        for path in lab.stage.data.glob("journal.db*"):
            path.unlink()
