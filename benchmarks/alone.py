"""Running one measurement by itself: a table on the terminal, and JSON where asked for."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

Figures = dict[str, float | str]


def run(measure: Callable[..., Figures], rates: tuple[int, ...] = ()) -> None:
    """Measure as the command line says. Told to end, it stops what it started."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="less precise, and soon over")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    if rates:
        parser.add_argument("--rate", type=int, nargs="*", default=list(rates), help="events a second")
    given = parser.parse_args()
    options = {"rates": tuple(given.rate)} if rates else {}
    figures = measure(given.quick, lambda text: print(text, file=sys.stderr), **options)  # noqa: T201
    for name, value in figures.items():
        print(f"{name:<44} {value:>14}")  # noqa: T201 - a table for people
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
