"""`hub connector`: the connectors there are, and their contract tests."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from hub.cli.client import Client, fail, show
from hub.cli.options import CONFIG, DATA_DIR, Config, DataDir, Json

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


Instance = Annotated[str, typer.Argument(help="An instance's name in hub.yaml.")]
Why = Annotated[str, typer.Option("--reason", help="For others to read.")]


@app.command("show")
def show_(
    instance: Annotated[str, typer.Argument(help="An instance's name; all, if not given.")] = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """How instances get on: last good event, last error in the system's own words, when credentials expire."""
    from hub.cli.tables import table

    client = Client(data_dir)
    path = f"/v1/instances/{instance}"
    found = [client.get(path)] if instance else client.get("/v1/instances")["instances"]
    if as_json:
        show({"instances": found})
        return
    table(
        ["instance", "part", "state", "worked", "last event", "last error", "at", "credential expires"],
        [
            [
                one["instance"],
                f"{part['name']} ({part['kind']})",
                "paused" if one["paused"] else part["state"],
                *(_moment(part[at]) for at in ("good_at", "event_at")),
                part["error"] or "none",
                _moment(part["error_at"]),
                _moment(part["credential_expires"]),
            ]
            for one in found
            for part in one["parts"]
        ],
    )


@app.command()
def pause(instance: Instance, reason: Why = "", data_dir: DataDir = DATA_DIR) -> None:
    """Have an instance ask and deliver nothing until it is resumed. What its system sends is still taken."""
    Client(data_dir).post(f"/v1/instances/{instance}/pause", {"reason": reason})
    typer.echo(f"{instance} is paused; go on with: hub connector resume {instance}")


@app.command()
def resume(instance: Instance, reason: Why = "", data_dir: DataDir = DATA_DIR) -> None:
    """Have an instance go on, after a pause, or after it halted and what was wrong is mended."""
    Client(data_dir).post(f"/v1/instances/{instance}/resume", {"reason": reason})
    typer.echo(f"{instance} goes on; see how: hub connector show {instance}")


def _moment(epoch_s: float) -> str:
    """To the second, in UTC."""
    from datetime import UTC, datetime

    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%d %H:%M:%S") if epoch_s else "-"
