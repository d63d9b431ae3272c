"""`hub connector`: the connectors there are, and their contract tests."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from hub.cli.client import fail, show
from hub.cli.options import CONFIG, Config, Json

app = typer.Typer(help="Connectors: adapters to the systems of a party.", no_args_is_help=True)


@app.command("list")
def list_(config: Config = CONFIG, as_json: Json = False) -> None:
    """Every connector, its sources and sinks, and the instances configured for it."""
    from hub.config import load
    from hub.sdk.catalogue import discover

    settings = load(config)
    found = [
        {
            "connector": kind.name,
            "about": kind.doc.partition("\n")[0],
            "classes": [cls.name for cls in kind.classes],
            "emits": sorted({model.type for source in kind.sources for model in source.emits}),
            "instances": sorted(n for n, i in settings.config.instances.items() if i.connector == kind.name),
        }
        for kind in discover(settings.root / "connectors").values()
    ]
    if as_json:
        show({"connectors": found})
        return
    from hub.cli.tables import table

    table(
        ["connector", "sources and sinks", "instances", "about"],
        [
            [f["connector"], ", ".join(f["classes"]), ", ".join(f["instances"]) or "none", f["about"]]
            for f in found
        ],
    )


@app.command()
def test(
    name: Annotated[str, typer.Argument(help="A connector's folder name.")] = "",
    every: Annotated[bool, typer.Option("--all", help="Test the whole fleet.")] = False,
    config: Config = CONFIG,
) -> None:
    """Run the contract tests of one connector, or of all, against their simulators."""
    if not name and not every:
        fail("name a connector, or say --all")
    folder = config.resolve().parent / "connectors" / name
    if not folder.is_dir():
        fail(f"there is no connector {name}: `hub connector list` shows them")
    raise typer.Exit(subprocess.call([sys.executable, "-m", "pytest", "-q", str(folder)]))
