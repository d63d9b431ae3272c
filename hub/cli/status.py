"""`hub status`: the hub at a glance."""

from __future__ import annotations

import typer

from hub.cli.client import Client, show
from hub.cli.options import DATA_DIR, DataDir, Json


def status(data_dir: DataDir = DATA_DIR, as_json: Json = False) -> None:
    """What passed, what failed, what waits."""
    client = Client(data_dir)
    found = client.get("/v1/status")
    if as_json:
        show(found)
        return
    typer.echo(f"gateway {client.gateway}, Kafka {found['kafka']}")
    typer.echo(f"{found['instances']} connector instances, {found['subscriptions']} active subscriptions")
    for state in ("failing", "halted"):
        for part in found[state]:
            typer.echo(f"  {state}: {part}; see hub connector show {part.partition('/')[0]}")
    for name, count in found["counts"]["outcomes"].items():
        typer.echo(f"  {name:<28} {count}")
    typer.echo(f"  {'open failures':<28} {found['counts']['open_failures']}")
    typer.echo(f"  {'deliveries waiting':<28} {found['counts']['pending_deliveries']}")
