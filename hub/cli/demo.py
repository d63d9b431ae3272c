"""`hub demo`: the journeys, played with simulators and judged by sets."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli.client import Client, fail, show
from hub.cli.options import CONFIG, DATA_DIR, Config, DataDir, Json

Once = Annotated[bool, typer.Option("--once", help="Start a hub of its own, play, and stop it.")]


def demo(
    config: Config = CONFIG, data_dir: DataDir = DATA_DIR, once: Once = False, as_json: Json = False
) -> None:
    """Play the journeys: citizens pay licence fees, webhooks are lost, repeated and broken, a subscriber fails twice.

    Exits with status 1 if anything was lost, duplicated or unexpected.
    """
    if once:
        report, seconds = _once(config, quiet=as_json)
    else:
        report, seconds = _play_or_fail(config, data_dir), 0.0
    if as_json:
        show({**report.to_dict(), "start_to_first_delivery_s": seconds} if once else report.to_dict())
    else:
        print_report(report)
    if not report.right:
        raise typer.Exit(1)


def play(config: Path, client: Client, data_dir: Path, then: Callable[[Any], None] = lambda _: None) -> Any:
    """Play once against the hub behind `client`; `then` gets the report while the simulators still run."""
    from hub.loading import load_hub
    from hub.testing.journey import Journey

    def call(method: str, path: str, body: Any, **params: Any) -> Any:
        return client.call(method, path, params=params, **({"json": body} if body is not None else {}))

    journey = Journey(load_hub(config).fleet, client.gateway, call, data_dir / "demo.json")
    with journey.stage():
        report = journey.play()
        then(report)
    return report


def _play_or_fail(config: Path, data_dir: Path) -> Any:
    from hub.testing.journey import PortTaken

    try:
        return play(config, Client(data_dir), data_dir)
    except PortTaken as taken:
        fail(str(taken))


def print_report(report: Any) -> None:
    """The summary as a table."""
    from hub.cli.tables import table

    shown = report.to_dict()
    table(
        ["journey: licence fees", ""],
        [[name.replace("_", " "), shown[name]] for name in shown if name != "lost_keys"],
    )
    if report.right:
        typer.echo(
            "nothing lost, nothing duplicated, nothing unexpected; one broken event was set aside on purpose"
        )
    else:
        typer.echo(f"not right: {report.lost} lost {report.lost_keys}", err=True)


def _once(config: Path, *, quiet: bool) -> tuple[Any, float]:
    from hub.cli.up import free_port, running_hub
    from hub.config import load

    started = time.monotonic()
    for name in load(config).config.instances:
        # Simulators on free ports, so that a demonstration never meets another one.
        os.environ[f"HUB_{name}_BASE_URL".upper().replace("-", "_")] = f"http://127.0.0.1:{free_port()}"
    say: Callable[[str], Any] = (lambda text: typer.echo(text, err=True)) if quiet else typer.echo
    with tempfile.TemporaryDirectory(prefix="hub-demo-") as made:
        data_dir = Path(made)
        with running_hub(config, data_dir, say=say):
            ready = time.monotonic() - started
            report = play(config, Client(data_dir), data_dir)
            return report, round(ready + report.first_delivery_s, 3)
