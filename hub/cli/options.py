"""Options that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="HUB_DATA_DIR", help="Where the hub keeps its data and hub.json."),
]
Config = Annotated[Path, typer.Option("--config", envvar="HUB_CONFIG", help="The hub's configuration.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]

DATA_DIR = Path(".hub")
CONFIG = Path("hub.yaml")
