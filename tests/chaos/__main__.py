"""`python -m tests.chaos`: run the fault laboratory."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection
from fnmatch import fnmatchcase
from pathlib import Path

import uvloop

from tests.chaos import mutants
from tests.chaos.experiment import Report, Run, experiment
from tests.chaos.faults import FAULTS
from tests.chaos.mutations import MUTATIONS
from tests.chaos.script import TOGETHER
from tests.chaos.stage import Plan
from tests.postgres import installed


def main() -> int:
    """0 if every promise held in every run, 1 if not, 2 if something could not be judged."""
    asked = _arguments()
    if asked.list:
        for name, fault in sorted(FAULTS.items()):
            print(f"{name:36} {(fault.__doc__ or '').splitlines()[0]}")
        for name, mutation in MUTATIONS.items():
            print(f"mutation {name:27} {mutation.broken}")
        return 0
    if asked.postgresql and installed() is None:
        sys.exit("PostgreSQL's server is not installed (Debian: apt install postgresql)")
    first = asked.first_seed if asked.first_seed is not None else int(time.time()) % 1_000_000
    if asked.mutations:
        caught = mutants.run(_chosen(MUTATIONS, asked.mutations, "mutation"), first, _say)
        print(mutants.table(caught))
        return 0 if all(one.found for one in caught) else 1
    names = _chosen(FAULTS, asked.faults, "fault") * asked.rounds
    reports = []
    for seed in range(first, first + asked.seeds):
        plan = Plan(workers=asked.workers, partitions=asked.partitions, postgresql=asked.postgresql)
        run = Run(
            seed,
            asked.events,
            names,
            plan,
            registers=asked.registers,
            rate=asked.rate,
            together=asked.together,
        )
        reports.append(_run(run, keep=asked.keep))
        if asked.report:
            _write(asked.report, reports)
    return _conclude(reports)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--faults", default="*", help="names or patterns, comma-separated; `none` for none")
    parser.add_argument("--seeds", type=int, default=1, help="how many runs")
    parser.add_argument("--first-seed", type=int, help="repeat a run by its seed; otherwise drawn")
    parser.add_argument("--rounds", type=int, default=1, help="how often each fault strikes in a run")
    parser.add_argument("--events", type=int, default=20_000, help="messages and rows per run")
    parser.add_argument(
        "--registers",
        type=int,
        default=1_000,
        help="licences in each council's registers; 0: they leave none",
    )
    parser.add_argument("--rate", type=float, default=60.0, help="messages per second at most; 0: no limit")
    parser.add_argument("--together", type=float, default=TOGETHER, help="share of faults that have company")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--partitions", type=int, default=4, help="of every topic")
    parser.add_argument("--postgresql", action="store_true", help="keep the journal on a PostgreSQL server")
    parser.add_argument("--mutations", help="break the hub instead: names or patterns of mutations")
    parser.add_argument("--report", type=Path, help="write all reports there, as JSON")
    parser.add_argument(
        "--keep", action="store_true", help="keep the logs of every run, not only of wrong ones"
    )
    parser.add_argument("--list", action="store_true", help="name all faults")
    return parser.parse_args()


def _chosen(known: Collection[str], text: str, what: str) -> list[str]:
    patterns = [] if text == "none" else text.split(",")
    unknown = [one for one in patterns if not any(fnmatchcase(name, one) for name in known)]
    if unknown:
        sys.exit(f"no {what} is called {', '.join(unknown)}; --list names all")
    return [name for name in known if any(fnmatchcase(name, one) for one in patterns)]


def _say(line: str) -> None:
    print(line, flush=True)


def _run(run: Run, *, keep: bool) -> Report:
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{run.seed}-"))
    print(f"seed {run.seed}: {run.events} events, {len(run.faults)} faults, logs in {folder}", flush=True)
    report = uvloop.run(experiment(run, folder, _say))
    print(summary(report), flush=True)
    if report.right and not keep:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def summary(report: Report) -> str:
    """What a person wants to know of one run."""
    rate = f"{report.events / report.busy_s:.0f}/s in {report.busy_s:.0f} s" if report.busy_s else "no load"
    lines = [
        f"seed {report.seed}: {'RIGHT' if report.right else 'WRONG' if not report.unknown else 'UNKNOWN'}: "
        f"{report.messages} messages and {report.rows} rows accepted ({rate}), {report.deliveries} effects at "
        f"subscribers, {sum(len(one.faults) for one in report.struck)} faults, {report.seconds:.0f} s"
    ]
    for name, found in report.places.items():
        counts = " ".join(f"{what}={count}" for what, count in found.counts().items())
        lines.append(f"  {name:28} {counts}")
        lines += [f"    {what}: {examples}" for what, examples in found.examples().items()]
    lines += [f"  skipped {name}: {reason}" for name, reason in report.skipped.items()]
    falls = Counter(fall["name"] for fall in report.falls)
    lines += [f"  fell by itself: {name} {count}x" for name, count in falls.items()]
    lines += [f"  note: {note}" for note in report.notes]
    lines += [f"  unknown: {reason}" for reason in report.unknown]
    return "\n".join(lines)


def _write(path: Path, reports: list[Report]) -> None:
    path.write_text(json.dumps([report.to_dict() for report in reports], indent=1, default=str))


def _conclude(reports: list[Report]) -> int:
    totals: Counter[str] = Counter()
    for report in reports:
        totals.update(report.totals)
    events = sum(report.events for report in reports)
    faults = sum(len(one.faults) for report in reports for one in report.struck)
    print(f"in all: {events} events, {faults} faults, {len(reports)} seeds: {dict(totals)}")
    if any(report.unknown for report in reports):
        return 2
    return 0 if all(report.right for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
