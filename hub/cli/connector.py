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
def new(
    name: Annotated[str, typer.Argument(help="The folder's name: lower-case words, joined by underscores.")],
    kind: Annotated[str, typer.Option(help="webhook, polling, files, register, mailbox, listener or sink.")],
    event: Annotated[
        str, typer.Option(help="The event type that it emits, a new one; for a sink, one that it takes.")
    ],
    party: Annotated[
        str, typer.Option(help="Also add an instance of this party to hub.yaml, and a route to its inbox.")
    ] = "",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Where that instance's system will be played.")
    ] = 18470,
    config: Config = CONFIG,
) -> None:
    """Make a connector: a folder whose contract tests pass, against a simulator of its own."""
    from hub.cli.placing import check_place, place, write_route
    from hub.cli.readme import write_readme
    from hub.cli.scaffolding import Answers, render, write_contract
    from hub.registry.__main__ import write

    root = config.resolve().parent
    folder = root / "connectors" / name
    if folder.exists():
        fail(f"{folder.relative_to(root)} is there already")
    try:
        answers = Answers.of(name, kind, event)
        if party:
            check_place(config.resolve(), answers, party, port)
        fresh = write_contract(root / "schemas", answers)
        done = write(root / "schemas", root / "hub" / "events" / "generated") if fresh else []
        render(answers, folder)
        write_readme(root, name)
        if party:
            done.append(
                f"added the instance {place(config.resolve(), answers, party, port)} to {config.name}"
            )
            if kind != "sink":
                done.append(f"wrote {write_route(root / 'routes', answers).relative_to(root)}")
    except (ValueError, OSError) as error:
        fail(str(error))
    for line in (f"wrote connectors/{name}", *done):
        typer.echo(line)
    typer.echo(f"Next: hub connector test {name}")


@app.command()
def update(
    name: Annotated[str, typer.Argument(help="A connector's folder name.")], config: Config = CONFIG
) -> None:
    """Bring into a connector what changed in the template since it was made. Conflicts are marked, as by git."""
    from hub.cli.scaffolding import update as updated

    try:
        changed, conflicts = updated(config.resolve().parent / "connectors" / name)
    except ValueError as error:
        fail(str(error))
    for one in changed:
        typer.echo(f"{'CONFLICT ' if one in conflicts else ''}{one}")
    typer.echo(f"{len(changed)} files changed, {len(conflicts)} with conflicts")
    if conflicts:
        raise typer.Exit(1)


@app.command()
def docs(
    name: Annotated[str, typer.Argument(help="A connector's folder name; all, if not given.")] = "",
    check: Annotated[
        bool, typer.Option(help="Say which are not what the code says, change nothing.")
    ] = False,
    config: Config = CONFIG,
) -> None:
    """Write the reference in a connector's README, from its classes, settings, contracts and simulator."""
    from hub.cli.readme import stale, write_readme

    root = config.resolve().parent
    names = [name] if name else sorted(path.parent.name for path in root.glob("connectors/*/connector.py"))
    try:
        old = [one for one in names if stale(root, one)]
        for one in old:
            typer.echo(f"connectors/{one}/README.md {'is stale' if check else 'is written'}")
            if not check:
                write_readme(root, one)
    except ValueError as error:
        fail(str(error))
    if check and old:
        raise typer.Exit(1)


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
    from hub.sdk.catalogue import discover
    from hub.testing.contracts import without_contract

    kinds = discover(folder if every else folder.parent)
    untested = {one: without_contract(kind) for one, kind in kinds.items() if every or one == name}
    for one, classes in untested.items():
        for cls in classes:
            typer.echo(f"hub: {one} has no contract test for {cls}", err=True)
    # -rx tells every waiver with its reason; one that is not needed fails.
    code = subprocess.call([sys.executable, "-m", "pytest", "-q", "-rx", str(folder)])
    raise typer.Exit(code or int(any(untested.values())))


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
