"""`hub events`: find an event, follow a case, watch what passes."""

from __future__ import annotations

import time
from typing import Annotated, Any
from urllib.parse import quote

import typer

from hub.cli.client import Client, show
from hub.cli.options import DATA_DIR, DataDir, Json, moment
from hub.cli.tables import plain

app = typer.Typer(help="Events: find one, follow a case, watch what passes.", no_args_is_help=True)

AnyId = Annotated[str, typer.Argument(help="Id of an event or raw record, a correlation id, or a subject.")]


@app.command()
def search(
    type: Annotated[str, typer.Option(help="Event type or pattern, such as payments.*")] = "*",
    party: Annotated[str, typer.Option(help="Party, such as E08000025.")] = "",
    subject: Annotated[str, typer.Option(help="The entity, such as a payment id.")] = "",
    source: Annotated[str, typer.Option(help="Who says so, such as /connectors/govuk_pay/town.")] = "",
    state: Annotated[str, typer.Option(help="What happened last, such as routed or delivered.")] = "",
    since: Annotated[str, typer.Option(help="First seen from then on: 2026-11-24T09:00Z, or 3h ago.")] = "",
    until: Annotated[str, typer.Option(help="And before that time.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Events, newest first."""
    asked = {"type": type, "party": party, "subject": subject, "source": source, "state": state}
    times = {name: moment(text) for name, text in (("since", since), ("until", until)) if text}
    page = Client(data_dir).get("/v1/events", **asked, **times, limit=limit)
    if as_json:
        show(page)
        return
    from hub.cli.drawing import events_table

    events_table(page["items"])


@app.command("show")
def show_(event_id: AnyId, data_dir: DataDir = DATA_DIR) -> None:
    """One event with its steps and deliveries, as JSON."""
    show(Client(data_dir).get(f"/v1/events/{quote(event_id, safe='')}"))


@app.command()
def trace(any_id: AnyId, data_dir: DataDir = DATA_DIR, as_json: Json = False) -> None:
    """One case from raw record to delivery, as a tree with times."""
    tree = Client(data_dir).get(f"/v1/cases/{quote(any_id)}")
    if as_json:
        show(tree)
        return
    from hub.cli.drawing import trace_tree

    trace_tree(tree["roots"])


@app.command()
def tail(data_dir: DataDir = DATA_DIR, as_json: Json = False) -> None:
    """Show events as they pass, until Ctrl-C."""
    client = Client(data_dir)
    after = -1
    try:
        while True:
            page = client.get("/v1/events/tail", after=after)
            for step in page["steps"]:
                typer.echo(step_line(step)) if not as_json else show(step)
            after = page["last"]
            time.sleep(0.25)
    except KeyboardInterrupt:
        return


def step_line(step: dict[str, Any]) -> str:
    """One step on one line."""
    at = time.strftime("%H:%M:%S", time.localtime(step["at"])) + f".{int(step['at'] % 1 * 1000):03d}"
    where = step.get("subscription") or step.get("route") or step.get("source") or ""
    told = " ".join(str(step[name]) for name in ("status", "reason") if step.get(name))
    what = f"{step['outcome']:<14} {step.get('type') or '-':<28} {step.get('subject', ''):<28}"
    return plain(f"{at}  {what} {where} {told}".rstrip())
