"""`hub check`: everything that is configuration or contract, linted."""

from __future__ import annotations

import typer

from hub.cli.client import show
from hub.cli.options import CONFIG, Config, Json


def check(config: Config = CONFIG, as_json: Json = False) -> None:
    """Check hub.yaml, connectors, schemas, generated models and routes. Exit 2 when something is wrong."""
    from hub.events.problem import Misconfigured, Problem
    from hub.loading import load_hub
    from hub.registry.generate import check as check_generated

    problems: list[Problem] = []
    summary = ""
    try:
        loaded = load_hub(config)
    except Misconfigured as error:
        problems.extend(error.problems)
    else:
        problems.extend(check_generated(loaded.registry))
        summary = (
            f"{len(loaded.kinds)} connectors, {len(loaded.fleet.members)} instances,"
            f" {len(loaded.registry.types())} contracts, {len({c.route.name for c in loaded.routes})} routes: all well"
        )
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
        if not problems:
            typer.echo(summary)
    if problems:
        raise typer.Exit(2)
