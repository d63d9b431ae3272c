"""What an event costs as routes and parties grow: the hub's route stage through Kafka, in CPU seconds.

Most routes take other event types, and one serves all parties by a field, so an event always leads to the same
one output; what grows is what is loaded, and over how many inboxes the outputs of a transaction are spread.
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
from benchmarks.process import Measured, run
from hub.stream.app import GROUP
from hub.stream.broker import open_broker
from hub.stream.topics import DEAD_LETTERS, JOURNAL, inbox

#: Routes and parties.
POINTS = ((1, 1), (200, 1), (50, 100), (200, 500))
#: Before it counts, every inbox has been written to several times: the first times, Kafka takes seconds over 500.
_WARM, _EVENTS, _ROUNDS = 100_000, 200_000, 3
_INBOX_PARTITIONS = 1


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, float | str]:
    """CPU seconds per million events at each point, of the whole worker and of its stage alone.

    `fan_out_cost` is the worker's at the last point over that at the first, `fan_out_cost_of_stage` the stage's.
    """
    points = (POINTS[0], POINTS[-1]) if quick else POINTS
    runs: dict[tuple[int, int], list[Measured]] = {point: [] for point in points}
    with tempfile.TemporaryDirectory(prefix="benchmarks-", ignore_cleanup_errors=True) as folder:
        broker = open_broker("embedded", Path(folder), say=say, throughput=True)
        try:
            with Crew() as crew:
                for parties in sorted({parties for _, parties in points}):
                    _fill(broker.address, parties, crew)
            for at in range(1 if quick else _ROUNDS):
                for point in points:
                    measured = _run(broker.address, Path(folder), *point)
                    runs[point].append(measured)
                    say(
                        f"round {at + 1}: routes, parties {point}: {measured.cost:.1f} CPU s per million events"
                    )
        finally:
            broker.stop()
    figures: dict[str, float | str] = {}
    for part, cost in (("", _whole), ("_of_stage", _stage)):
        costs = {point: median(map(cost, each)) for point, each in runs.items()}
        for (routes, parties), each in costs.items():
            figures[f"fan_out_cpu{part}_{routes}_routes_{parties}_parties"] = each
        figures[f"fan_out_cost{part}"] = costs[points[-1]] / costs[points[0]]
    return figures


def _whole(run: Measured) -> float:
    return run.cost


def _stage(run: Measured) -> float:
    assert run.stage_cpu_seconds is not None
    return run.stage_cpu_seconds / run.records * 1e6


def _fill(servers: str, parties: int, crew: Crew) -> None:
    source = _source(parties)
    topics.make(servers, [source], work.PARTITIONS)
    fill.fill(servers, {source: _WARM + _EVENTS}, crew, fan_out.parties(parties))


def _run(servers: str, folder: Path, routes: int, parties: int) -> Measured:
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
        return run(command, task, folder / "fan-out.log")
    finally:
        topics.delete(servers, made)


def _source(parties: int) -> str:
    return f"{work.SOURCE_TOPIC}-{parties}-parties"
