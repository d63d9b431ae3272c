"""From runs to figures: medians, spreads, ratios within a round; as JSON under stable names, and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.plan import RATIOS, ROWS
from benchmarks.process import Measured

Figures = Mapping[str, float | str | None]


@dataclass(slots=True)
class Results:
    """Per row that was asked for its runs by round, or why there are none; what the sections found."""

    asked: set[str]
    runs: dict[str, dict[int, Measured]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    sections: dict[str, Figures] = field(default_factory=dict)

    def ratios(self, name: str) -> list[float]:
        """Of each round in which both rows ran."""
        ours, theirs = (self.runs.get(row, {}) for row in RATIOS[name])
        return [ours[at].rate / theirs[at].rate for at in sorted(ours.keys() & theirs.keys())]

    def why_not(self, name: str) -> str:
        """Why a ratio is null."""
        missing = [row for row in RATIOS[name] if not self.runs.get(row)]
        return "; ".join(f"{row}: {self.reasons.get(row, 'was not asked for')}" for row in missing)


def as_json(results: Results, about: Mapping[str, Any], *, ratios_alone: bool) -> dict[str, Any]:
    """Every ratio under its name, null where it could not be had; the rest beside them unless `ratios_alone`."""
    found = {name: results.ratios(name) for name in RATIOS}
    shown: dict[str, Any] = {name: _rounded(median(each)) if each else None for name, each in found.items()}
    for figures in results.sections.values():
        shown |= figures
    missing = {name: results.why_not(name) for name, each in found.items() if not each}
    shown["reasons"] = missing | {
        name: reason for name, reason in results.reasons.items() if name not in results.runs
    }
    if ratios_alone:
        return shown
    shown["spread"] = {
        name: [_rounded(min(each)), _rounded(max(each))] for name, each in found.items() if each
    }
    shown["rows"] = {name: _row(list(runs.values())) for name, runs in results.runs.items() if runs}
    return shown | {"about": dict(about)}


def _row(runs: Sequence[Measured]) -> dict[str, Any]:
    rates = [run.rate for run in runs]
    peaks = [run.peak_mb for run in runs if run.peak_mb is not None]
    return {
        "events_per_second": round(median(rates)),
        "spread": [round(min(rates)), round(max(rates))],
        "cpu_seconds_per_million": _rounded(median(run.cost for run in runs)),
        "peak_mb": round(max(peaks)) if peaks else None,
        "events": runs[0].records,
        "rounds": len(runs),
    }


def _rounded(number: float) -> float:
    return float(f"{number:.4g}")


def show(results: Results, screen: Console, *, ratios_alone: bool) -> None:
    """Print what was found."""
    if not ratios_alone:
        _print_rows(results, screen)
    _print_ratios(results, screen)
    for section, figures in results.sections.items():
        table = _table(section, "")
        for name, figure in figures.items():
            table.add_row(name, f"{figure:,.4g}" if isinstance(figure, float) else str(figure))
        screen.print(table, "")


def _print_rows(results: Results, screen: Console) -> None:
    table = _table("row", "events/s", "lowest", "highest", "CPU s/M", "peak MB", "events", "rounds")
    left_out = _table("left out", "why")
    for name in (row.name for row in ROWS):
        if runs := list(results.runs.get(name, {}).values()):
            row = _row(runs)
            rates = [row["events_per_second"], *row["spread"]]
            table.add_row(
                name,
                *(f"{rate:,}" for rate in rates),
                f"{row['cpu_seconds_per_million']:.1f}",
                str(row["peak_mb"] or "-"),
                f"{row['events']:,}",
                str(row["rounds"]),
            )
        elif name in results.reasons:
            left_out.add_row(name, results.reasons[name])
    for drawn in (table, left_out):
        if drawn.row_count:
            screen.print(drawn, "")


def _print_ratios(results: Results, screen: Console) -> None:
    table = _table("ratio", "median", "lowest", "highest", "why there is none")
    for name in RATIOS:
        if found := results.ratios(name):
            table.add_row(name, *(f"{one:.2f}" for one in (median(found), min(found), max(found))))
        elif results.asked >= set(RATIOS[name]):
            table.add_row(name, "-", "", "", results.why_not(name))
    if table.row_count:
        screen.print(table, "")


def _table(first: str, *rest: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first, no_wrap=True)
    for column in rest:
        table.add_column(column, justify="left" if column.startswith("why") else "right")
    return table
