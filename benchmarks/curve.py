"""What an event costs as routes and parties grow: the hub's route stage through Kafka, in CPU seconds.

Most routes take other event types, and one serves all parties by a field, so an event always leads to the same
one output; what grows is what is loaded, and over how many inboxes the outputs are spread.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

from benchmarks import fill, topics, work
from benchmarks.parallel import Crew
from benchmarks.peers import fan_out
from benchmarks.peers.meter import Task
from benchmarks.process import run
from hub.stream.app import GROUP
from hub.stream.broker import open_broker
from hub.stream.topics import DEAD_LETTERS, JOURNAL, inbox

#: Routes and parties.
POINTS = ((1, 1), (10, 10), (50, 100), (200, 500))
_WARM, _EVENTS, _ROUNDS = 20_000, 200_000, 3
_INBOX_PARTITIONS = 1


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, float | str]:
    """CPU seconds per million events at each point, and the last over the first as `fan_out_cost`."""
    points = (POINTS[0], POINTS[-1]) if quick else POINTS
    costs: dict[tuple[int, int], list[float]] = {point: [] for point in points}
    with tempfile.TemporaryDirectory(prefix="benchmarks-", ignore_cleanup_errors=True) as folder:
        broker = open_broker("embedded", Path(folder), say=say, throughput=True)
        try:
            with Crew() as crew:
                for _, parties in points:
                    _fill(broker.address, parties, crew)
            for at in range(1 if quick else _ROUNDS):
                for routes, parties in points:
                    cost = _cost(broker.address, Path(folder), routes, parties)
                    costs[routes, parties].append(cost)
                    say(
                        f"round {at + 1}: {routes} routes, {parties} parties: {cost:.1f} CPU s per million events"
                    )
        finally:
            broker.stop()
    found = {point: median(each) for point, each in costs.items()}
    named: dict[str, float | str] = {
        f"fan_out_cpu_{routes}_routes_{parties}_parties": cost for (routes, parties), cost in found.items()
    }
    return named | {"fan_out_cost": found[points[-1]] / found[points[0]]}


def _fill(servers: str, parties: int, crew: Crew) -> None:
    source = _source(parties)
    topics.make(servers, [source], work.PARTITIONS)
    fill.fill(servers, {source: _WARM + _EVENTS}, crew, fan_out.parties(parties))


def _cost(servers: str, folder: Path, routes: int, parties: int) -> float:
    made = [*map(inbox, fan_out.parties(parties)), JOURNAL, DEAD_LETTERS]
    topics.forget_group(servers, GROUP)
    topics.make(servers, made, _INBOX_PARTITIONS)
    command = [
        sys.executable,
        "-m",
        "benchmarks.peers.fan_out",
        "--routes",
        str(routes),
        "--parties",
        str(parties),
    ]
    task = Task(servers, _source(parties), f"fan-out-{routes}-{parties}", _WARM, _EVENTS, exactly_once=True)
    try:
        return run(command, task, folder / "fan-out.log").cost
    finally:
        topics.delete(servers, made)


def _source(parties: int) -> str:
    return f"{work.SOURCE_TOPIC}-{parties}-parties"
