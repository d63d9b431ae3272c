"""One run of one row: empty topics, a process of its own, its figures, and whether its output is what it must be."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from functools import cached_property
from pathlib import Path

from benchmarks import fill, topics, verify, work
from benchmarks.parallel import Crew
from benchmarks.peers import environment, kafka_streams
from benchmarks.peers.meter import Task
from benchmarks.plan import EXACTLY_ONCE, Row
from benchmarks.process import BrokenError, Measured, run
from hub.stream.app import GROUP
from hub.stream.topics import DEAD_LETTERS, JOURNAL, inbox

Say = Callable[[str], None]

HUB = {"route": "workers", "route_one": "route"}
"""The rows that are this hub, and the module of each."""


class Runner:
    """Runs rows on one broker."""

    def __init__(self, servers: str, folder: Path, crew: Crew, say: Say) -> None:
        self._servers = servers
        self._folder = folder
        self._crew = crew
        self._say = say
        self._wanted: dict[str, verify.Contents] = {}
        self._runs = 0

    def fill(self, totals: Collection[int]) -> None:
        """Write the sources, of so many events each, and note what they must become."""
        sources = {_source(total): total for total in sorted(set(totals))}
        self._say(f"writing {', '.join(f'{total:,}' for total in sources.values())} events")
        topics.make(self._servers, list(sources), work.PARTITIONS)
        self._wanted = fill.fill(self._servers, sources, self._crew)

    def run(self, row: Row, warm: int, count: int, *, checked: bool) -> Measured:
        """Run once and clear up; where `checked`, the output is read and compared. Raises BrokenError, AbsentError."""
        self._runs += 1
        source = _source(warm + count)
        target = f"bench.{row.name}-{self._runs}"
        made = [target]
        if row.peer in HUB:  # the hub's own topics and group
            target = inbox(work.PARTY)
            made = [target, JOURNAL, DEAD_LETTERS]
            topics.forget_group(self._servers, GROUP)
        topics.make(self._servers, made, work.PARTITIONS)
        try:
            task = Task(self._servers, source, target, warm, count, row.guarantee == EXACTLY_ONCE)
            measured = run(self.command(row), task, self._folder / f"{row.name}.log")
            if checked:
                self._check(row, source, target)
        finally:
            topics.delete(self._servers, made)
        return measured

    def command(self, row: Row) -> list[str]:
        """How the row's program is started; it is fetched or compiled first if need be. Raises AbsentError."""
        if row.peer == "kafka_streams":
            return kafka_streams.command(self._folder / "kafka-streams")
        python = self._peers_python if row.peer in environment.PEERS else Path(sys.executable)
        return [str(python), "-m", f"benchmarks.peers.{HUB.get(row.peer, row.peer)}"]

    def _check(self, row: Row, source: str, target: str) -> None:
        copied = row.peer == "copy"
        wanted = verify.contents(self._servers, source, self._crew) if copied else self._wanted[source]
        found = verify.contents(self._servers, target, self._crew)
        if found != wanted:
            raise BrokenError(f"wrote {found.records:,} records, not the {wanted.records:,} that it must")

    @cached_property
    def _peers_python(self) -> Path:
        return environment.python(self._say)


def _source(total: int) -> str:
    return f"{work.SOURCE_TOPIC}-{total}"
