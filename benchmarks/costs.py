"""What other processes cost, as Linux counts it."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)
_PARTS = ("gateway", "worker", "kafka.Kafka")


def parts_of(pid: int) -> dict[str, int]:
    """The processes below `hub up`, by what they are: `gateway`, `worker-1`…, `kafka`."""
    found = {}
    for child in _below(pid):
        words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        kind = next((part for part in _PARTS if part in words), "")
        if kind == "worker":
            found[words[words.index("--name") + 1]] = child
        elif kind:
            found[kind.partition(".")[0]] = child
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, all its threads together."""
    user, system = _stat(pid)[11:13]
    return (int(user) + int(system)) / _TICKS


def busy_seconds() -> float:
    """Processor time of the whole machine, ours and everybody's; what other virtual machines took counts too."""
    user, nice, system, _, _, interrupt, soft, steal = (
        Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    )
    return sum(map(int, (user, nice, system, interrupt, soft, steal))) / _TICKS


def resident_mb(pid: int) -> float:
    """Memory that is there for it now."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MB


def _below(pid: int) -> list[int]:
    parents = {int(one.name): int(_stat(int(one.name))[1]) for one in Path("/proc").glob("[0-9]*")}
    below, found = [pid], []
    while below:
        parent = below.pop()
        children = [child for child, its in parents.items() if its == parent]
        below += children
        found += children
    return found


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/<pid>/stat` from the state on; a process that has just ended has parent 0."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return ["X", "0"] + ["0"] * 48
