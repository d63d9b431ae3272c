"""Memory that is used up: a worker gets no more, and what then happens to it must cost nothing."""

from __future__ import annotations

import resource

from tests.chaos.fault import Fault, Laboratory, fault
from tests.chaos.processes import Process, memory_of


@fault("worker-out-of-memory", "workers")
class WorkerOutOfMemory(Fault):
    """A worker may have no more address space than it has, as under `ulimit -v`; if it lives, it gets it back."""

    least, most = 6.0, 12.0

    async def begin(self, lab: Laboratory) -> None:
        """Set the limit."""
        self.victim: Process = self.random.choice(lab.stage.workers)
        self.victim.doomed = True
        limit = memory_of(self.victim.pid)
        resource.prlimit(self.victim.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        self.pid = self.victim.pid

    async def end(self, lab: Laboratory) -> None:
        """Lift it."""
        if self.victim.alive and self.victim.pid == self.pid:
            self.victim.doomed = False
            unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
            resource.prlimit(self.pid, resource.RLIMIT_AS, unlimited)
