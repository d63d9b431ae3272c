"""What every peer in Python shares: its command line, its clock, its one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """What a peer is asked for: read `warm + count` records, and measure from the first after `warm`."""

    servers: str
    source: str
    target: str
    warm: int
    count: int
    exactly_once: bool

    @property
    def total(self) -> int:
        """Records to read in all."""
        return self.warm + self.count

    def options(self) -> list[str]:
        """Itself as a peer's command line."""
        return [
            *("--servers", self.servers, "--source", self.source, "--target", self.target),
            *("--warm", str(self.warm), "--count", str(self.count)),
            *("--guarantee", "exactly_once" if self.exactly_once else "at_least_once"),
        ]


def options() -> argparse.ArgumentParser:
    """What all peers take."""
    parser = argparse.ArgumentParser()
    for name in ("servers", "source", "target"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--warm", type=int, default=0)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--guarantee", choices=["at_least_once", "exactly_once"], default="at_least_once")
    return parser


def task_of(given: argparse.Namespace) -> Task:
    """What was asked for."""
    exactly_once = given.guarantee == "exactly_once"
    return Task(given.servers, given.source, given.target, given.warm, given.count, exactly_once)


def task_from_command_line() -> Task:
    """Of a peer that takes nothing more."""
    return task_of(options().parse_args())


class Meter:
    """Starts at the first record after the warm-up and ends when the last output is safe."""

    def __init__(self, task: Task) -> None:
        self._warm = task.warm
        self._total = task.total
        self._start: tuple[float, float, int] | None = None
        self._stage: float | None = None
        self.read = 0

    def begin(self, records: int) -> None:
        """So many records were read; their work begins now."""
        if self._start is None and self.read >= self._warm:
            self._start = (time.monotonic(), cpu_seconds(), self.read)
        self.read += records

    @contextmanager
    def stage(self) -> Iterator[None]:
        """What the thread does in here is counted by itself as well, from the warm-up's end on."""
        began = time.thread_time()
        yield
        if self._start is not None:
            self._stage = (self._stage or 0.0) + time.thread_time() - began

    @property
    def all_read(self) -> bool:
        """Whether there is nothing more to read."""
        return self.read >= self._total

    def report(self) -> None:
        """All outputs are acknowledged, or committed: say what it took."""
        seconds, cpu = time.monotonic(), cpu_seconds()
        assert self._start is not None
        began, cpu_began, before = self._start
        measured = {
            "records": self.read - before,
            "seconds": seconds - began,
            "cpu_seconds": cpu - cpu_began,
            "stage_cpu_seconds": self._stage,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }
        sys.stdout.write(json.dumps(measured) + "\n")
        sys.stdout.flush()


def cpu_seconds() -> float:
    """User and system time of this process and its ended children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
