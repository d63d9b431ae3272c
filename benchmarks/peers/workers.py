"""The hub's own route stage as a hub runs it: a worker per core, which share the partitions. One clock over them."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.costs import cpu_seconds
from benchmarks.peers.meter import Task, task_from_command_line
from benchmarks.work import PARTITIONS


def main(task: Task, workers: int) -> None:
    """From the first record read after the warm-up until the last position is committed, by whichever worker."""
    command = [sys.executable, "-m", "benchmarks.peers.route", "--tell", *task.options()]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(workers)
    ]
    try:
        measured = _measured(task, processes)
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()  # upon which it leaves the group in order
    sys.stdout.write(json.dumps(measured) + "\n")
    for process in processes:
        process.wait()


def _measured(task: Task, processes: Sequence[subprocess.Popen[bytes]]) -> dict[str, Any]:
    reached: dict[str, dict[str, int]] = defaultdict(dict)
    began: tuple[float, float, int] | None = None
    here = 0
    for what, positions in _told(processes):
        here += what == "here"
        if what == "here" and here == len(processes):
            _begin(processes)
        before = sum(reached["read"].values())
        if began is None and before >= task.warm:
            began = time.monotonic(), sum(cpu_seconds(process.pid) for process in processes), before
        for place, offset in positions.items():
            reached[what][place] = max(offset, reached[what].get(place, 0))
        if sum(reached["committed"].values()) >= task.total:
            break
    assert began is not None
    seconds, cpu, first = began
    return {
        "records": task.total - first,
        "seconds": time.monotonic() - seconds,
        "cpu_seconds": sum(cpu_seconds(process.pid) for process in processes) - cpu,
        "peak_mb": sum(_peak_mb(process.pid) for process in processes),
    }


def _begin(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()


def _told(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[tuple[str, dict[str, int]]]:
    """What the workers say, as they say it."""
    with selectors.DefaultSelector() as waiting:
        for process in processes:
            assert process.stdout is not None
            waiting.register(process.stdout, selectors.EVENT_READ)
        while True:
            for ready, _ in waiting.select():
                line = ready.fileobj.readline()  # type: ignore[union-attr]
                if not line:
                    raise SystemExit("a worker has ended before all was done")
                if line.startswith(b"{"):
                    told = json.loads(line)
                    yield told["what"], told["positions"]


def _peak_mb(pid: int) -> float:
    (line,) = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")
    ]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main(task_from_command_line(), min(os.cpu_count() or 1, PARTITIONS))
