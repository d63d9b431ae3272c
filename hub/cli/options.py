"""Options that many commands share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from hub.cli.client import fail

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="HUB_DATA_DIR", help="Where the hub keeps its data and hub.json."),
]
Config = Annotated[Path, typer.Option("--config", envvar="HUB_CONFIG", help="The hub's configuration.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

DATA_DIR = Path(".hub")
CONFIG = Path("hub.yaml")

_SPANS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str) -> float:
    """A time, or how long ago it was (`3h`), as epoch seconds."""
    number, unit = text[:-1], text[-1:]
    if unit in _SPANS and number.replace(".", "", 1).isdigit():
        return (datetime.now(UTC) - timedelta(**{_SPANS[unit]: float(number)})).timestamp()
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{text}: neither a time such as 2026-11-24T09:00Z nor a span such as 3h")
    return (time if time.tzinfo else time.astimezone()).timestamp()
