"""Plain Faust: the agent of `benchmarks.peers.faust` under the settings and the event loop that Faust comes with."""

from __future__ import annotations

import asyncio

from benchmarks.peers.faust import run
from benchmarks.peers.meter import task_from_command_line

if __name__ == "__main__":
    asyncio.run(run(task_from_command_line(), {}))
