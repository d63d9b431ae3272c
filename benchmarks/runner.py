"""One run of one row: empty topics, a process of its own, its figures, and whether its output is what it must be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks import fill, topics, verify, work
from benchmarks.peers import environment, kafka_streams
from benchmarks.plan import Row
from hub.stream.app import GROUP
from hub.stream.topics import DEAD_LETTERS, JOURNAL, inbox

ROOT = Path(__file__).parents[1]
_SLOWEST = 300  # events/s; a run below is given up
_START = 60  # seconds for a process to start and to join its group

Say = Callable[[str], None]


class BrokenError(Exception):
    """A peer that failed, or whose output is wrong; the message says which."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one run took, from the first record after the warm-up until its last output was safe."""

    records: int
    seconds: float
    cpu_seconds: float
    peak_mb: float | None

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.records / self.seconds

    @property
    def cost(self) -> float:
        """CPU seconds per million events, of the peer's own process."""
        return self.cpu_seconds / self.records * 1e6


class Runner:
    """Runs rows on one broker. Sources are filled once, by size; what they must become is worked out once."""

    def __init__(self, servers: str, folder: Path, say: Say) -> None:
        self._servers = servers
        self._folder = folder
        self._say = say
        self._sources: set[str] = set()
        self._expected: dict[tuple[str, bool], verify.Contents] = {}
        self._runs = 0

    def prepare(self, row: Row, total: int) -> None:
        """See that the row can run: its program and its events are there. Raises AbsentError."""
        self._command(row)
        source = _source(total)
        if source not in self._sources:
            self._say(f"filling {source} with {total:,} events")
            topics.make(self._servers, [source], work.PARTITIONS)
            fill.fill(self._servers, source, total)
            self._sources.add(source)

    def run(self, row: Row, warm: int, count: int, *, checked: bool) -> Measured:
        """Run once and clear up; where `checked`, the output is read and compared. Raises BrokenError."""
        self._runs += 1
        source = _source(warm + count)
        target = f"bench.{row.name}-{self._runs}"
        made = [target]
        if row.peer == "route":  # the hub's own topics and group
            target = inbox(work.PARTY)
            made = [target, JOURNAL, DEAD_LETTERS]
            topics.forget_group(self._servers, GROUP)
        topics.make(self._servers, made, work.PARTITIONS)
        try:
            measured = self._measure(
                row, ["--source", source, "--target", target, "--warm", str(warm), "--count", str(count)]
            )
            if checked:
                self._check(row, source, target)
        finally:
            topics.delete(self._servers, made)
        return measured

    def _measure(self, row: Row, options: list[str]) -> Measured:
        log = self._folder / f"{row.name}.log"
        whole = [*self._command(row), "--servers", self._servers, "--guarantee", row.guarantee, *options]
        limit = _START + sum(map(int, options[5::2])) / _SLOWEST
        with log.open("wb") as said:
            process = subprocess.Popen(
                whole, cwd=ROOT, stdout=subprocess.PIPE, stderr=said, start_new_session=True
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

    def _check(self, row: Row, source: str, target: str) -> None:
        copied = row.peer == "copy"
        if (source, copied) not in self._expected:
            work_out = verify.output if copied else verify.expected
            self._expected[source, copied] = work_out(self._servers, source)
        found, wanted = verify.output(self._servers, target), self._expected[source, copied]
        if found != wanted:
            raise BrokenError(f"wrote {found.records:,} records, not the {wanted.records:,} that it must")

    def _command(self, row: Row) -> list[str]:
        """How the row's program is started. Raises AbsentError."""
        if row.peer == "kafka_streams":
            return kafka_streams.command(self._folder / "kafka-streams")
        python = self._peers_python if row.peer in environment.PEERS else Path(sys.executable)
        return [str(python), "-m", f"benchmarks.peers.{row.peer}"]

    @cached_property
    def _peers_python(self) -> Path:
        return environment.python(self._say)


def _source(total: int) -> str:
    return f"{work.SOURCE_TOPIC}-{total}"
