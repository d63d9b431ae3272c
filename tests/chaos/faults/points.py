"""Death between two named steps: a process is started that kills itself at the n-th time it gets there."""

from __future__ import annotations

import asyncio

from tests.chaos.fault import Fault, Laboratory, fault
from tests.chaos.processes import Process, until

_WRAPPER = ("tests.chaos.failpoints",)
_READY_S = 60.0


class _AtPoint(Fault):
    point = ""
    kind = "worker"
    furthest = 40  # it dies at a time drawn from 1 to this
    most = 25.0

    async def begin(self, lab: Laboratory) -> None:
        """Start a worker or gateway anew with the fail point in it."""
        group = lab.stage.workers if self.kind == "worker" else lab.stage.gateways
        self.victim: Process = self.random.choice(group)
        self.victim.held = True
        self.victim.kill()
        await self.victim.gone(5)
        times = self.random.randint(1, self.furthest)
        self.victim.start(_WRAPPER, HUB_CHAOS_POINT=f"{self.point}:{times}")

    async def last(self, lab: Laboratory) -> None:
        """Until it has died, for which its time begins when it takes part: to start takes long on a busy machine."""
        await until(lambda: self.victim.ready() or not self.victim.alive, _READY_S)
        if not await self.victim.gone(self.most):
            lab.missed.append(self.name)

    async def end(self, lab: Laboratory) -> None:
        """Start it again as it should be."""
        self.victim.kill()
        await self.victim.gone(5)
        self.victim.start()
        self.victim.held = False
        await asyncio.sleep(0)


@fault("worker-dies-before-offsets", "workers")
class BeforeOffsets(_AtPoint):
    """A worker dies when its transaction has begun, and neither outputs nor positions are in it."""

    point = "before-offsets"


@fault("worker-dies-before-commit", "workers")
class BeforeCommit(_AtPoint):
    """A worker dies when outputs and positions are in the transaction and it is not committed."""

    point = "before-commit"


@fault("worker-dies-after-commit", "workers")
class AfterCommit(_AtPoint):
    """A worker dies when its transaction is committed and it does not know yet."""

    point = "after-commit"


@fault("gateway-dies-after-confirmation", "gateways")
class AfterConfirmation(_AtPoint):
    """A gateway dies when Kafka has confirmed a record and nobody has been told."""

    point = "after-confirmation"
    kind = "gateway"
    furthest = 100
