"""`hub failures`: what could not go on, why, and mending it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hub.cli.client import Client, fail, show
from hub.cli.jobs import Rate, Wait, follow
from hub.cli.options import DATA_DIR, DataDir, Json

app = typer.Typer(
    help="Failures: dead letters, their reasons; redriving, editing, archiving them.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(help="A dead letter's id, from `hub failures list`.")]
Ids = Annotated[list[str] | None, typer.Argument(help="Dead letters by id.")]
Group = Annotated[str, typer.Option("--group", help="All open ones of one kind, from `hub failures list`.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]

#: Dead letters of one kind that are listed.
_LISTED = 100


@app.command("list")
def list_(
    status: Annotated[
        Literal["open", "redriven", "archived"], typer.Option(help="open, redriven or archived.")
    ] = "open",
    group: Annotated[str, typer.Option("--group", help="One kind, letter by letter.")] = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Dead letters, grouped by what went wrong."""
    client = Client(data_dir)
    if group:
        found = client.get("/v1/failures/letters", fingerprint=group, status=status, limit=_LISTED + 1)
        if found["failures"][_LISTED:]:
            del found["failures"][_LISTED:]
            typer.echo(f"hub: these are the newest {_LISTED}; redrive --group {group} takes all", err=True)
    else:
        found = client.get("/v1/failures", status=status)
    if as_json:
        show(found)
        return
    from hub.cli.drawing import failures_table, letters_table

    (letters_table if group else failures_table)(found["failures"])


@app.command("show")
def show_(
    failure_id: Id,
    payload: Annotated[
        bool,
        typer.Option("--payload", help="With what it holds, which may be personal data; this is logged."),
    ] = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """One dead letter, as JSON: stage, reason, origin, attempts, schema, headers, how to trace its case."""
    show(Client(data_dir).get(f"/v1/failures/{failure_id}", payload="true" if payload else ""))


@app.command()
def redrive(
    ids: Ids = None,
    group: Group = "",
    every: Annotated[bool, typer.Option("--all", help="All open ones.")] = False,
    rate: Rate = 50.0,
    dry_run: DryRun = False,
    yes: Yes = False,
    wait: Wait = True,
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Send dead letters again to where they failed. Shows what would be sent, and asks.

    Each is sent once, however often it is asked for. It goes on in the background when this command is ended.
    """
    asked = {**_chosen(ids, group, every), "rate": rate}
    _do(Client(data_dir), "redrive", asked, _Manner(dry_run, yes, wait, as_json))


@app.command()
def archive(
    ids: Ids = None,
    reason: Annotated[str, typer.Option(help="Why it need not be sent; no personal data.")] = ...,  # type: ignore[assignment]
    group: Group = "",
    dry_run: DryRun = False,
    yes: Yes = False,
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Give dead letters up: they are kept as long as others, and not listed as open any more."""
    asked = {**_chosen(ids, group, False), "reason": reason}
    _do(Client(data_dir), "archive", asked, _Manner(dry_run, yes or not group, True, as_json))


@app.command()
def edit(
    failure_id: Id,
    fields: Annotated[
        list[str] | None, typer.Option("--set", help="field=value: a dotted name; a text, or JSON.")
    ] = None,
    file: Annotated[Path | None, typer.Option("--file", help="The whole of its data instead.")] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Redrive an edited copy of a dead letter; the original stays. Without --set or --file, opens $EDITOR.

    Shows what changes, and whether the stage where it failed would take it; asks, unless --yes is given.
    """
    from hub.cli.drawing import changes_lines
    from hub.cli.editing import asked_edit

    client = Client(data_dir)
    path = f"/v1/failures/{failure_id}"
    asked = asked_edit(lambda: client.get(path, payload="true"), fields or [], file)
    found = client.post(f"{path}/edit", {**asked, "dry_run": True})
    if not found["changes"]:
        fail("nothing is changed by that")
    typer.echo("\n".join(changes_lines(found["changes"])))
    if found["faults"]:
        fail("it would be refused again: " + "; ".join(found["faults"]))
    if dry_run:
        return
    if not yes:
        typer.confirm("Send this copy?", abort=True)
    follow(client, client.post(f"{path}/edit", {**asked, "dry_run": False})["job"])


@app.command()
def jobs(data_dir: DataDir = DATA_DIR, as_json: Json = False) -> None:
    """What is being redriven, archived or replayed, how far it got, and what is over."""
    found = Client(data_dir).get("/v1/jobs")
    if as_json:
        show(found)
        return
    from hub.cli.drawing import jobs_table

    jobs_table(found["jobs"])


@app.command()
def cancel(
    job: Annotated[str, typer.Argument(help="A job's id, from `hub failures jobs`.")],
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Stop a job where it is: what was sent is sent, the rest stays open."""
    stopped = Client(data_dir).post(f"/v1/jobs/{job}/cancel", {})
    typer.echo(f"{stopped['status']}: {stopped['sent']} of {stopped['total']} were sent")


class _Manner:
    """How to go about it."""

    def __init__(self, dry_run: bool, yes: bool, wait: bool, as_json: bool) -> None:
        self.dry_run, self.yes, self.wait, self.as_json = dry_run, yes, wait, as_json


def _chosen(ids: list[str] | None, group: str, every: bool) -> dict[str, Any]:
    if not (ids or group or every):
        fail("name dead letters by id or with --group, from `hub failures list`")
    return {"ids": ids or [], "fingerprint": group, "all": every}


def _do(client: Client, what: str, asked: dict[str, Any], manner: _Manner) -> None:
    """A dry run first, then the question, then the job."""
    path = f"/v1/failures/{what}"
    meant = client.post(path, {**asked, "dry_run": True})
    if not meant["chosen"]:
        fail("no open failure is meant by that: `hub failures list` shows them")
    if not manner.as_json:
        _print_meant(what, meant)
    if not manner.dry_run:
        if not manner.yes:
            typer.confirm(f"{what.capitalize()} {meant['chosen']}?", abort=True, err=True)
        meant = client.post(path, {**asked, "dry_run": False})
        if meant["job"] and manner.wait:
            meant["job"] = follow(client, meant["job"], quiet=manner.as_json)
    if manner.as_json:
        show(meant)


def _print_meant(what: str, meant: dict[str, Any]) -> None:
    from hub.cli.drawing import letters_table

    behind = f", {meant['behind']} of them waiting behind others" if meant["behind"] else ""
    typer.echo(f"to {what}: {meant['chosen']}{behind}")
    letters_table(meant["first"])
    if meant["chosen"] > len(meant["first"]):
        typer.echo(f"… and {meant['chosen'] - len(meant['first'])} more")
