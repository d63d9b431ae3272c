"""`hub subscription`: who gets what."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hub.cli.client import Client, show
from hub.cli.options import DATA_DIR, DataDir, Json

app = typer.Typer(help="Subscriptions: a party's standing order for its inbox.", no_args_is_help=True)


@app.command()
def add(
    party: Annotated[str, typer.Argument(help="Whose inbox, as in hub.yaml (a council's GSS code).")],
    url: Annotated[str, typer.Argument(help="Where events are posted.")],
    types: Annotated[
        list[str] | None, typer.Option("--type", help="Event type or pattern; may repeat.")
    ] = None,
    mode: Annotated[str, typer.Option(help="structured or binary CloudEvents.")] = "structured",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Subscribe; prints the signing secret, this once."""
    asked = {"party": party, "url": url, "types": types or ["*"], "mode": mode}
    made = Client(data_dir).post("/v1/subscriptions", asked)
    if as_json:
        show(made)
        return
    typer.echo(f"subscription {made['id']} for {party}: {', '.join(made['types'])} → {url}")
    typer.echo(f"signing secret (Standard Webhooks; shown this once): {made['secret']}")


@app.command("list")
def list_(data_dir: DataDir = DATA_DIR, as_json: Json = False) -> None:
    """All subscriptions."""
    found = Client(data_dir).get("/v1/subscriptions")
    if as_json:
        show(found)
        return
    from hub.cli.tables import table

    table(
        ["id", "party", "types", "mode", "status", "url"],
        [
            [s["id"], s["party"], ", ".join(s["types"]), s["mode"], _status(s), s["url"]]
            for s in found["subscriptions"]
        ],
        empty="no subscriptions yet: hub subscription add PARTY URL",
    )


@app.command()
def remove(
    subscription_id: Annotated[str, typer.Argument(help="From `hub subscription list`.")],
    data_dir: DataDir = DATA_DIR,
) -> None:
    """End a subscription; what waits for it is not delivered any more."""
    Client(data_dir).delete(f"/v1/subscriptions/{subscription_id}")
    typer.echo(f"subscription {subscription_id} removed")


@app.command()
def rotate(
    subscription_id: Annotated[str, typer.Argument(help="From `hub subscription list`.")],
    data_dir: DataDir = DATA_DIR,
) -> None:
    """A new signing secret; the old one stays valid beside it for a day."""
    made = Client(data_dir).post(f"/v1/subscriptions/{subscription_id}/rotate", {})
    typer.echo(f"new signing secret (shown this once): {made['secret']}")


def _status(subscription: dict[str, Any]) -> str:
    reason = subscription.get("ended_reason")
    return f"{subscription['status']}: {reason}" if reason else str(subscription["status"])
