"""Clocks that jump while a process runs. Debian's `faketime` is put before the system's for that process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.chaos.control import settle
from tests.chaos.fault import Fault, Laboratory, fault
from tests.chaos.processes import Process, until
from tests.chaos.stage import Stage


def _library() -> str:
    """Debian's package has it in the folder of the machine's architecture."""
    return str(next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), ""))


class _Jump(Fault):
    """A process is started on a clock of its own, which jumps twice; then it gets the true one again."""

    kind = "worker"
    jumps: Sequence[str] = ()

    @classmethod
    def skipped(cls, stage: Stage) -> str:
        """Needs the library."""
        return "" if _library() else "Debian's package faketime is not here"

    async def begin(self, lab: Laboratory) -> None:
        """Restart a process so that its clock can be moved."""
        group = lab.stage.workers if self.kind == "worker" else lab.stage.gateways
        self.victim: Process = self.random.choice(group)
        self.victim.held = True
        await self.victim.stop()
        self.clock = lab.stage.folder / f"{self.victim.name}.clock"
        self.clock.write_text("+0\n")
        self.victim.start(
            LD_PRELOAD=_library(),
            FAKETIME_TIMESTAMP_FILE=str(self.clock),
            FAKETIME_CACHE_DURATION="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
        )
        await until(self.victim.ready, 30)

    async def last(self, lab: Laboratory) -> None:
        """Jump, and jump."""
        for jump in self.jumps:
            self.clock.write_text(f"{jump}\n")
            await settle(1.0)  # it looks once a second
            await super().last(lab)

    async def end(self, lab: Laboratory) -> None:
        """Back to the true time."""
        await self.victim.stop()
        self.victim.start()
        self.victim.held = False


@fault("worker-clock-jumps", "workers")
class WorkerClockJumps(_Jump):
    """A worker's clock jumps two minutes ahead, and three back."""

    jumps = ("+120", "-60")
    most = 4.0


@fault("worker-clock-far-off", "workers")
class WorkerClockFarOff(_Jump):
    """A worker's clock jumps two hours ahead, then to a day behind: no signature of it holds meanwhile."""

    jumps = ("+7200", "-86400")
    most = 3.0


@fault("gateway-clock-jumps", "gateways")
class GatewayClockJumps(_Jump):
    """A gateway's clock jumps two hours ahead, which Kafka does not take, and a day back."""

    kind = "gateway"
    jumps = ("+7200", "-86400")
    most = 4.0
