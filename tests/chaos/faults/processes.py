"""Gateways and workers that die, freeze, are stopped in order, come and go."""

from __future__ import annotations

import asyncio
import signal

from tests.chaos.control import settle
from tests.chaos.fault import Fault, Laboratory, fault
from tests.chaos.processes import Process, until

_SESSION_S = 6.0  # the group's patience with a member that is silent


class _OnOne(Fault):
    """On one process of a kind, drawn."""

    kind = "worker"

    async def begin(self, lab: Laboratory) -> None:
        """Draw the victim, then `strike` it."""
        group = lab.stage.workers if self.kind == "worker" else lab.stage.gateways
        self.victim: Process = self.random.choice(group)
        await self.strike(lab)

    async def strike(self, lab: Laboratory) -> None:
        """Do it to `victim`."""
        raise NotImplementedError


class _Killed(_OnOne):
    async def strike(self, lab: Laboratory) -> None:
        """SIGKILL."""
        self.victim.kill()


class _Frozen(_OnOne):
    async def strike(self, lab: Laboratory) -> None:
        """SIGSTOP."""
        self.victim.send(signal.SIGSTOP)

    async def end(self, lab: Laboratory) -> None:
        """SIGCONT."""
        self.victim.send(signal.SIGCONT)


class _Restarted(_OnOne):
    async def strike(self, lab: Laboratory) -> None:
        """SIGTERM, as a rolling upgrade does."""
        if not await self.victim.stop(timeout=15):
            lab.notes.append(f"{self.victim.name} did not end within 15 s of SIGTERM")


@fault("worker-kill", "workers")
class WorkerKill(_Killed):
    """A worker dies (SIGKILL)."""


@fault("worker-freeze", "workers")
class WorkerFreeze(_Frozen):
    """A worker freezes for longer than the group waits for it, and comes back a stranger (SIGSTOP, SIGCONT)."""

    least, most = _SESSION_S + 2, _SESSION_S + 4


@fault("worker-freeze-briefly", "workers")
class WorkerFreezeBriefly(_Frozen):
    """A worker freezes for a moment, as a collector of garbage makes it."""

    least, most = 1.0, 2.0


@fault("worker-restart", "workers")
class WorkerRestart(_Restarted):
    """A worker is stopped in order and started again."""


@fault("gateway-kill", "gateways")
class GatewayKill(_Killed):
    """A gateway dies (SIGKILL)."""

    kind = "gateway"


@fault("gateway-freeze", "gateways")
class GatewayFreeze(_Frozen):
    """A gateway freezes with requests in its hands."""

    kind = "gateway"
    least, most = 3.0, 8.0


@fault("gateway-restart", "gateways")
class GatewayRestart(_Restarted):
    """A gateway is stopped in order and started again."""

    kind = "gateway"


@fault("all-workers-kill", "workers")
class AllWorkersKill(Fault):
    """All workers die at once."""

    async def begin(self, lab: Laboratory) -> None:
        """SIGKILL to all."""
        for worker in lab.stage.workers:
            worker.kill()


@fault("gateway-kill-while-kafka-is-frozen", "gateways", "brokers")
class GatewayKillWhileKafkaIsFrozen(Fault):
    """No broker answers, and the gateways die with records in their hands: nothing of those was claimed."""

    async def begin(self, lab: Laboratory) -> None:
        """Freeze all brokers, let requests come, kill the gateways."""
        brokers = lab.stage.brokers.all
        for broker in brokers:
            broker.pause()
        sent = lab.generator.sent
        await until(lambda: lab.generator.sent >= sent + 200, 1.5)
        for gateway in lab.stage.gateways:
            gateway.kill()
        await asyncio.gather(*(gateway.gone(5) for gateway in lab.stage.gateways))
        for broker in brokers:
            broker.resume()


@fault("rebalance-storm", "workers")
class RebalanceStorm(Fault):
    """Workers leave and join by turns, every two seconds."""

    rounds = 4

    async def begin(self, lab: Laboratory) -> None:
        """Stop one in order, start it, then the other."""
        for turn in range(self.rounds):
            worker = lab.stage.workers[turn % len(lab.stage.workers)]
            await worker.stop(timeout=15)
            await settle(2.0)
