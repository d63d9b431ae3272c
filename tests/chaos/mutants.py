"""Runs every mutation under the faults that expose it: the laboratory must find what it is known to break."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import uvloop

from tests.chaos.experiment import Report, Run, Say, experiment
from tests.chaos.mutations import MUTATIONS, Mutation
from tests.chaos.stage import Plan

_EVENTS = 2_000
_RATE = 200.0
_QUIET_S = 12.0


@dataclass(frozen=True, slots=True)
class Caught:
    """Whether a mutation was found out, and by what."""

    mutation: Mutation
    report: Report

    @property
    def found(self) -> bool:
        """Whether it was found to break what it breaks, and everything could be judged."""
        return not self.report.unknown and self.report.totals.get(self.mutation.found, 0) > 0


def run(names: Iterable[str], seed: int, say: Say) -> list[Caught]:
    """Each in turn, on a stage of its own."""
    caught = []
    for name in names:
        mutation = MUTATIONS[name]
        folder = Path(tempfile.mkdtemp(prefix=f"chaos-{name}-"))
        plan = Plan(wrapper=("tests.chaos.mutations", name))
        faults = mutation.faults * mutation.rounds
        asked = Run(seed, _EVENTS, faults, plan, registers=mutation.registers, rate=_RATE, quiet_s=_QUIET_S)
        say(f"{name}: {mutation.broken}")
        one = Caught(mutation, uvloop.run(experiment(asked, folder, say)))
        caught.append(one)
        say(f"{name}: {'caught' if one.found else 'NOT CAUGHT'}: {one.report.totals} {one.report.unknown}")
        if one.found:
            rmtree(folder, ignore_errors=True)
    return caught


def table(caught: Iterable[Caught]) -> str:
    """For people."""
    lines = [f"{'mutation':28} {'caught':7} {'lost':>6} {'dupl.':>6} {'order':>6} {'unexp.':>6}  under"]
    for one in caught:
        totals = one.report.totals
        numbers = " ".join(
            f"{totals.get(name, 0):6}" for name in ("lost", "duplicated", "out_of_order", "unexpected")
        )
        under = ", ".join(one.mutation.faults) or "load alone"
        lines.append(f"{one.mutation.name:28} {'yes' if one.found else 'NO':7} {numbers}  {under}")
    return "\n".join(lines)
