"""`hub check`: everything that is configuration or contract, linted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hub.cli.client import show
from hub.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    from hub.events.problem import Problem
    from hub.loading import Loaded


def checked(config: Path) -> tuple[Loaded | None, list[Problem]]:
    """The hub as configured, if that can be loaded, and all that is wrong with it."""
    from hub.events.problem import Misconfigured
    from hub.loading import load_hub
    from hub.registry.generate import check as check_generated

    try:
        loaded = load_hub(config)
    except Misconfigured as error:
        return None, list(error.problems)
    return loaded, list(check_generated(loaded.registry))


def check(config: Config = CONFIG, as_json: Json = False) -> None:
    """Check hub.yaml, connectors, schemas, generated models and routes. Exit 2 when something is wrong."""
    loaded, problems = checked(config)
    if as_json:
        show(
            {
                "problems": [
                    {"file": p.file, "line": p.line, "message": p.message, "remedy": p.remedy}
                    for p in problems
                ]
            }
        )
    else:
        for problem in problems:
            typer.echo(str(problem), err=True)
        if loaded is not None and not problems:
            typer.echo(
                f"{len(loaded.kinds)} connectors, {len(loaded.fleet.members)} instances,"
                f" {len(loaded.registry.types())} contracts,"
                f" {len({c.route.name for c in loaded.routes})} routes: all well"
            )
    if problems:
        raise typer.Exit(2)
