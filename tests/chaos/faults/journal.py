"""The journal's database locked by somebody, emptied, away or frozen: events go on without it."""

from __future__ import annotations

import asyncio
import threading

from tests.chaos.fault import Fault, Laboratory, fault
from tests.chaos.stage import Stage


@fault("journal-locked", "data")
class JournalLocked(Fault):
    """Somebody holds the journal's lock for longer than its writers wait."""

    least, most = 6.0, 8.0

    async def begin(self, lab: Laboratory) -> None:
        """Take it, on a thread of its own, since a connection belongs to one."""
        self._over = threading.Event()
        taken = threading.Event()

        def hold() -> None:
            with lab.stage.journal.locked():
                taken.set()
                self._over.wait()

        self._thread = threading.Thread(target=hold, daemon=True)
        self._thread.start()
        await asyncio.to_thread(taken.wait, 10)

    async def end(self, lab: Laboratory) -> None:
        """Give it back."""
        self._over.set()
        await asyncio.to_thread(self._thread.join)


@fault("journal-gone", "data")
class JournalGone(Fault):
    """The journal's files are deleted under the hub, or its tables dropped."""

    async def begin(self, lab: Laboratory) -> None:
        """Delete them."""
        await asyncio.to_thread(lab.stage.journal.remove)


class _OfServer(Fault):
    """Where the journal has one."""

    least, most = 6.0, 12.0

    @classmethod
    def skipped(cls, stage: Stage) -> str:
        """On SQLite."""
        return "" if stage.journal.server else "the journal is a file; --postgresql gives it a server"


@fault("journal-server-loss", "data")
class JournalServerLoss(_OfServer):
    """The journal's server is gone for longer than its writers wait."""

    async def begin(self, lab: Laboratory) -> None:
        """End it."""
        assert lab.stage.journal.server
        await asyncio.to_thread(lab.stage.journal.server.stop)

    async def end(self, lab: Laboratory) -> None:
        """Start it again."""
        assert lab.stage.journal.server
        await asyncio.to_thread(lab.stage.journal.server.start)


@fault("journal-server-freeze", "data")
class JournalServerFreeze(_OfServer):
    """The journal's server takes connections, and answers none."""

    async def begin(self, lab: Laboratory) -> None:
        """Stop it."""
        assert lab.stage.journal.server
        lab.stage.journal.server.pause()

    async def end(self, lab: Laboratory) -> None:
        """Let it go on."""
        assert lab.stage.journal.server
        lab.stage.journal.server.resume()
