"""A peer's process: started, waited for, never left behind; its figures."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.meter import Task

ROOT = Path(__file__).parents[1]
_SLOWEST = 300  # events/s; a run below is given up
_START = 60  # seconds for a process to start and to join its group


class BrokenError(Exception):
    """A peer that failed, or whose output is wrong; the message says which."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run took, from the first record after the warm-up until its last output was safe.

    `stage_cpu_seconds` is the hub's: of `cpu_seconds`, what went into the work itself, from fetched to encoded.
    """

    records: int
    seconds: float
    cpu_seconds: float
    peak_mb: float | None
    stage_cpu_seconds: float | None = None

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.records / self.seconds

    @property
    def cost(self) -> float:
        """CPU seconds per million events, of the peer's own process."""
        return self.cpu_seconds / self.records * 1e6


def run(command: Sequence[str], task: Task, log: Path) -> Measured:
    """Have a peer do the task; what it complains of goes into `log`. Raises BrokenError."""
    limit = _START + task.total / _SLOWEST
    with log.open("wb") as said:
        process = subprocess.Popen(
            [*command, *task.options()], cwd=ROOT, stdout=subprocess.PIPE, stderr=said, start_new_session=True
        )
    try:
        answer, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise BrokenError(f"gave no answer within {limit:.0f} s") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.returncode:
        last = log.read_text(errors="replace").strip().splitlines() or ["nothing on its error output"]
        raise BrokenError(f"ended with status {process.returncode}: {last[-1]}")
    return Measured(**json.loads(answer.splitlines()[-1]))
