"""`hub route`: what goes where and as what, explained and tried. Needs no running hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.client import fail, show
from hub.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    from hub.loading import Loaded
    from hub.routes.golden import Report

app = typer.Typer(help="Routes: what goes to whom, and as what.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="A route's name, from `hub route list`.")]


@app.command("list")
def list_(config: Config = CONFIG, as_json: Json = False) -> None:
    """Every route: what it takes, whom it is for, what it makes, where it is declared."""
    from hub.loading import load_hub
    from hub.routes.loader import places
    from hub.routes.source import written

    loaded = load_hub(config)
    where = places(loaded.settings.root / "routes")
    found: list[dict[str, Any]] = []
    for route in {one.route.name: one.route for one in loaded.routes}.values():
        source = written(where[route.name])
        found.append(
            {
                "name": route.name,
                "on": list(route.on),
                "to": source.arguments.get("to", str(route.to)),
                "emits": route.emits,
                "file": f"{where[route.name].shown}:{source.line}",
            }
        )
    if as_json:
        show({"routes": found})
        return
    from hub.cli.tables import table

    heads = ["name", "on", "to", "emits", "file"]
    rows = [
        [
            one["name"],
            ", ".join(one["on"]),
            one["to"],
            one["emits"] or "as it came",
            one["file"],
        ]
        for one in found
    ]
    table(heads, rows, empty="no routes yet: README.md, Add a route, says how to write one")


@app.command()
def explain(name: Name, config: Config = CONFIG, as_json: Json = False) -> None:
    """Input, expression and output, field by field, with types, origins and classification.

    Warns where a field leaves under a lower classification than one that it is made from.
    """
    from hub.cli.explaining import as_values, lines
    from hub.loading import load_hub
    from hub.routes.explain import UnknownRouteError, named
    from hub.routes.explain import explain as explained
    from hub.routes.loader import places
    from hub.routes.source import written

    loaded = load_hub(config)
    try:
        compiled = named(loaded.routes, name)
    except UnknownRouteError as error:
        fail(str(error))
    place = places(loaded.settings.root / "routes")[name]
    source = written(place)
    told = explained(compiled, source)
    file = f"{place.shown}:{source.line}"
    if as_json:
        show({"file": file, **as_values(told)})
        return
    for line in lines(told, file):
        typer.secho(line, fg=typer.colors.YELLOW if line.lstrip().startswith("!") else None)


@app.command()
def test(
    name: Annotated[str, typer.Argument(help="A route's name; without it, all are tested.")] = "",
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Pass routes that have no case.")
    ] = False,
    write: Annotated[
        bool,
        typer.Option("--write", help="Write what came into cases that have no `expect`; read it afterwards."),
    ] = False,
    config: Config = CONFIG,
    as_json: Json = False,
) -> None:
    """Run the golden cases beside the routes. Exit 1 when one fails, or a route has none."""
    from hub.cli.explaining import finding_lines, report_values
    from hub.loading import load_hub
    from hub.routes.approve import approve

    loaded = load_hub(config)
    report = _report(loaded, name)
    counts: dict[Path, int] = {}
    unwritten: list[Any] = []
    if write:
        counts, unwritten = approve(report.results, loaded.registry)
        report = _report(loaded, name)
    missing = () if allow_missing else report.missing
    problems = [*report.problems, *missing, *unwritten]
    failed = [result for result in report.results if result.findings]
    if as_json:
        show(report_values(report, problems))
    else:
        for problem in problems:
            typer.echo(str(problem), err=True)
        for line in (
            line for result in failed for finding in result.findings for line in finding_lines(finding)
        ):
            typer.echo(line, err=True)
        for path, number in counts.items():
            typer.echo(f"{path.parent.name}/{path.name}: wrote what is expected in {number} cases; read it")
        routes = len({result.case.route for result in report.results})
        typer.echo(f"{len(report.results)} cases of {routes} routes: {len(failed) or 'none'} failed")
    if problems or failed:
        raise typer.Exit(1)


def _report(loaded: Loaded, name: str) -> Report:
    from hub.routes.explain import UnknownRouteError, named
    from hub.routes.golden import Golden
    from hub.routes.loader import places

    folder = loaded.settings.root / "routes"
    try:
        if name:
            named(loaded.routes, name)
    except UnknownRouteError as error:
        fail(str(error))
    golden = Golden(loaded.routes, places(folder), loaded.registry, loaded.settings.config.parties)
    return golden.check(folder, name)
