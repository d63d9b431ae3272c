"""The hub beside its peers: the same events, the same work, the same output, on one broker in one run.

Ctrl-C stops everything and leaves nothing behind. Exit status:
  0    all that was asked for was measured, or skipped with its reason
  1    a peer failed, or its output was not what it must be
  2    wrong options
  3    no broker, or no events in it
  130  stopped by Ctrl-C
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from os import cpu_count
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from rich.console import Console

from benchmarks import plan, report
from benchmarks.parallel import Crew
from benchmarks.process import BrokenError
from benchmarks.rounds import Rounds
from benchmarks.runner import Runner, Say
from hub.stream.broker import BrokerError, distribution, open_broker

#: What is measured beside the rows: modules here whose `measure(quick, say)` gives figures by their names.
SECTIONS = ("curve", "latency", "ingest", "drain", "startup")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; the exit status."""
    asked = _asked(arguments)
    err = Console(stderr=True, highlight=False)
    signal.signal(signal.SIGTERM, lambda *_: _interrupt())

    def say(what: str) -> None:
        err.print(what)

    rows = [
        row for row in plan.ROWS if (row.name in asked.only if asked.only else row.quick or not asked.quick)
    ]
    results = report.Results({row.name for row in rows})
    try:
        well = _rows(rows, asked.size, results, say)
        well &= _sections(asked, results, say)
    except (BrokerError, KafkaException) as error:
        err.print(str(error))
        return 3
    except KeyboardInterrupt:
        err.print("stopped; what was measured before:")
        report.show(results, Console(highlight=False), ratios_alone=asked.quick)
        return 130
    report.show(results, Console(highlight=False), ratios_alone=asked.quick)
    if asked.json:
        made = report.as_json(results, _about(asked.size), ratios_alone=asked.quick)
        asked.json.write_text(json.dumps(made, indent=2) + "\n")
    return 0 if well else 1


def _interrupt() -> None:
    raise KeyboardInterrupt


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    rows = [row.name for row in plan.ROWS]
    parser = argparse.ArgumentParser(
        "python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="under two minutes, and the ratios alone")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the figures, under stable names, to FILE"
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=[*rows, *SECTIONS],
        metavar="PEER",
        help=f"this one; can be given again. Rows: {', '.join(rows)}. Beside them: {', '.join(SECTIONS)}",
    )
    parser.add_argument(
        "--events",
        type=_positive,
        metavar="N",
        help=f"how many are measured per run, {plan.FULL.events:,} unless --quick; slow rows get a share of them",
    )
    parser.add_argument(
        "--rounds",
        type=_positive,
        metavar="N",
        help=f"how often each row runs, {plan.FULL.rounds} unless --quick",
    )
    asked = parser.parse_args(arguments)
    size = plan.QUICK if asked.quick else plan.FULL
    if asked.events:
        size = replace(size, events=asked.events)
    asked.size = replace(size, rounds=asked.rounds) if asked.rounds else size
    return asked


def _positive(text: str) -> int:
    number = int(text.replace("_", "").replace(",", ""))
    if number < 1:
        raise ValueError
    return number


def _rows(rows: Sequence[plan.Row], size: plan.Size, results: report.Results, say: Say) -> bool:
    """Run the rows, round after round; whether all went well."""
    if not rows:
        return True
    with tempfile.TemporaryDirectory(prefix="benchmarks-", ignore_cleanup_errors=True) as folder:
        broker = open_broker("embedded", Path(folder), say=say, throughput=True)
        try:
            with Crew() as crew:
                runner = Runner(broker.address, Path(folder), crew, say)
                return Rounds(runner, size, results, say).all(rows)
        finally:
            broker.stop()


def _sections(asked: argparse.Namespace, results: report.Results, say: Say) -> bool:
    """Measure what is asked for beside the rows; whether all went well."""
    well = True
    for name in SECTIONS:
        if name in asked.only if asked.only else not asked.quick:
            say(f"measuring {name}")
            section = importlib.import_module(f"benchmarks.{name}")
            try:
                results.sections[name] = section.measure(asked.quick, say)
            except BrokenError as broken:
                results.reasons[name] = str(broken)
                say(f"{name} is broken: {broken}")
                well = False
    return well


def _about(size: plan.Size) -> dict[str, Any]:
    return {
        "events": size.events,
        "rounds": size.rounds,
        "warm_up": size.warm,
        "cores": cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "kafka": distribution.VERSION,
        **{name: version(name) for name in ("polars", "faust-streaming", "confluent-kafka")},
    }


if __name__ == "__main__":
    sys.exit(main())
