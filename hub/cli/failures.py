"""`hub failures`: what could not go on, why, and sending it again."""

from __future__ import annotations

from typing import Annotated

import typer

from hub.cli.client import Client, fail, show
from hub.cli.options import DATA_DIR, DataDir, Json

app = typer.Typer(help="Failures: dead letters, their reasons, and redriving them.", no_args_is_help=True)


@app.command("list")
def list_(
    status: Annotated[str, typer.Option(help="open, redriven or archived.")] = "open",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Dead letters, grouped by what went wrong."""
    found = Client(data_dir).get("/v1/failures", status=status)
    if as_json:
        show(found)
        return
    from hub.cli.drawing import failures_table

    failures_table(found["failures"])


@app.command("show")
def show_(
    failure_id: Annotated[str, typer.Argument(help="A dead letter's id, from `hub failures list`.")],
    data_dir: DataDir = DATA_DIR,
) -> None:
    """One dead letter, as JSON: stage, reason, origin, attempts. Never the payload."""
    show(Client(data_dir).get(f"/v1/failures/{failure_id}"))


@app.command()
def redrive(
    ids: Annotated[list[str] | None, typer.Argument(help="Dead letters by id.")] = None,
    fingerprint: Annotated[str, typer.Option(help="All open ones of one kind.")] = "",
    every: Annotated[bool, typer.Option("--all", help="All open ones.")] = False,
    really: Annotated[bool, typer.Option("--yes", help="Do it; without this it is a dry run.")] = False,
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Send dead letters again to where they failed. A dry run unless --yes is given."""
    if not (ids or fingerprint or every):
        fail("name dead letters by id, or give --fingerprint or --all")
    asked = {"ids": ids or [], "fingerprint": fingerprint, "all": every, "dry_run": not really}
    done = Client(data_dir).post("/v1/failures/redrive", asked)
    if not done["chosen"]:
        fail("no open failure is meant by that: `hub failures list` shows them")
    if as_json:
        show(done)
    elif done["dry_run"]:
        typer.echo(f"would redrive {done['chosen']}; add --yes to do it")
    else:
        typer.echo(f"redriven {done['redriven']} of {done['chosen']}")
