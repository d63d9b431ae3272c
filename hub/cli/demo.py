"""`hub demo`: the journeys, played with simulators and judged by sets."""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli.client import Client, fail, show
from hub.cli.options import CONFIG, DATA_DIR, Config, DataDir, Json
from hub.gateway.client import Client as AnyClient

Once = Annotated[bool, typer.Option("--once", help="Start a hub of its own, play, and stop it.")]

_LOCAL = re.compile(r"(?<=://127\.0\.0\.1:)\d+")


def demo(
    config: Config = CONFIG, data_dir: DataDir = DATA_DIR, once: Once = False, as_json: Json = False
) -> None:
    """Play the journeys on their bad days: a fee that renews a licence and closes its case, a driver whom a court
    disqualifies, referrals between a hospital and social care.

    Exits with status 1 if anything was lost, duplicated or unexpected, or if none can be played.
    """
    from hub.cli.logs import set_up_logs

    set_up_logs()
    if once:
        reports, seconds = _once(config, quiet=as_json)
    else:
        reports, seconds = _play_or_fail(config, data_dir), 0.0
    if as_json:
        show(reports.to_dict() | ({"start_to_first_delivery_s": seconds} if once else {}))
    else:
        print_reports(reports)
    if not reports.right:
        raise typer.Exit(1)


def play(
    config: Path, client: AnyClient, data_dir: Path, then: Callable[[Any], None] = lambda _: None
) -> Any:
    """Play once against the hub behind `client`; `then` gets the reports while the simulators still run."""
    from hub.loading import load_hub
    from hub.testing.journeys import demonstration

    players = demonstration.cast(load_hub(config).fleet)
    with demonstration.staged(players):
        hub = demonstration.PlayedHub(client, data_dir / "demo.json")
        reports = demonstration.play(hub, players, lambda text: typer.echo(text, err=True))
        then(reports)
    return reports


def _play_or_fail(config: Path, data_dir: Path) -> Any:
    from hub.testing.journeys.demonstration import PortTaken

    try:
        return play(config, Client(data_dir), data_dir)
    except PortTaken as taken:
        fail(str(taken))


def print_reports(reports: Any) -> None:
    """A line for each journey and one for all; then what else there is to say."""
    from hub.cli.tables import table

    told, names = reports.to_dict(), ["expected", "delivered", "lost", "duplicated", "unexpected", "seconds"]
    rows = [[one["journey"], *(one[name] for name in names)] for one in told["journeys"]]
    table(["journey", *names], [*rows, ["in all", *(told[name] for name in names)]])
    for name, lacking in reports.left_out.items():
        typer.echo(f"{name}: left out; of these there are too few instances: {', '.join(lacking)}")
    if reports.right:
        aside = "; one broken event was set aside on purpose" if told["dead_letters"] else ""
        typer.echo(f"nothing lost, nothing duplicated, nothing unexpected{aside}")
    for report in reports.journeys:
        for what in ("lost", "duplicated", "unexpected"):
            if keys := getattr(report, f"{what}_keys"):
                typer.echo(f"not right: {report.journey}: {what} {keys}", err=True)


def _once(config: Path, *, quiet: bool) -> tuple[Any, float]:
    from hub.cli.up import running_hub
    from hub.config import load

    started = time.monotonic()
    # Simulators on free ports, so that a demonstration never meets another one.
    os.environ |= moved({name: instance.config for name, instance in load(config).config.instances.items()})
    say: Callable[[str], Any] = (lambda text: typer.echo(text, err=True)) if quiet else typer.echo
    with tempfile.TemporaryDirectory(prefix="hub-demo-") as made:
        data_dir = Path(made)
        with running_hub(config, data_dir, say=say):
            ready = time.monotonic() - started
            reports = play(config, Client(data_dir), data_dir)
            return reports, round(ready + reports.to_dict()["first_delivery_s"], 3)


def moved(instances: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """The environment under which instances look for systems on this machine at ports that are free.

    The ports keep their distances: a simulator's second listener has the port after its first.
    """
    found = [
        (f"HUB_{name}_{field}".upper().replace("-", "_"), str(value), int(port))
        for name, settings in instances.items()
        for field, value in settings.items()
        for port in _ports(field, value)
    ]
    if not found:
        return {}
    first = min(port for _, _, port in found)
    shift = _free_ports(max(port for _, _, port in found) - first + 2) - first
    return {name: value.replace(str(port), str(port + shift)) for name, value, port in found}


def _ports(field: str, value: Any) -> Iterator[str]:
    if field == "sftp_port":
        yield str(value)
    elif isinstance(value, str):
        yield from _LOCAL.findall(value)


def _free_ports(count: int) -> int:
    """The first of so many ports in a row on which nobody listens."""
    from hub.stream.broker.ports import free_port, is_free

    while True:
        first = free_port()
        if all(is_free(port) for port in range(first, first + count)):
            return first
