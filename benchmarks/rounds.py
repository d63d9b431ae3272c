"""Row after row, round after round, so that whatever else the machine does meets all rows alike."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.peers import AbsentError
from benchmarks.plan import Row, Size
from benchmarks.process import BrokenError
from benchmarks.report import Results
from benchmarks.runner import Runner, Say


class Rounds:
    """Runs rows and notes what came of them in `results`."""

    def __init__(self, runner: Runner, size: Size, results: Results, say: Say) -> None:
        self._runner = runner
        self._size = size
        self._results = results
        self._say = say

    def all(self, rows: Sequence[Row]) -> bool:
        """Whether every row that this machine can run went well. One that breaks is not run again."""
        runnable = [row for row in rows if self._can_run(row)]
        absent = self._results.reasons.keys() - {row.name for row in runnable}
        self._runner.fill([sum(self._size.of(row)) for row in runnable])
        for at in range(self._size.rounds):
            for row in runnable:
                if row.name not in self._results.reasons:
                    self._run(row, at)
        return self._results.reasons.keys() <= absent

    def _can_run(self, row: Row) -> bool:
        try:
            self._runner.command(row)
        except AbsentError as absent:
            self._results.reasons[row.name] = str(absent)
            self._say(f"{row.name} is left out: {absent}")
            return False
        return True

    def _run(self, row: Row, at: int) -> None:
        try:
            measured = self._runner.run(row, *self._size.of(row), checked=at == 0)
        except BrokenError as broken:
            self._results.reasons[row.name] = str(broken)
            self._results.runs.pop(row.name, None)
            self._say(f"{row.name} is broken: {broken}")
        else:
            self._results.runs.setdefault(row.name, {})[at] = measured
            self._say(f"round {at + 1} of {self._size.rounds}: {row.name} {measured.rate:,.0f}/s")
