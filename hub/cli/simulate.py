"""`hub simulate`: an outside system, played by its simulator until Ctrl-C, for any client to be pointed at."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.client import fail
from hub.cli.options import CONFIG, Config, Json

if TYPE_CHECKING:
    from hub.sdk.simulator import Simulator


def simulate(
    name: Annotated[str, typer.Argument(help="A connector's folder name.")],
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any free one.")] = 0,
    bad_day: Annotated[str, typer.Option("--bad-day", help="How it behaves; without it, well.")] = "",
    to: Annotated[
        str, typer.Option("--to", help="Where it sends: http://…/webhooks/<instance>, mllp://host:port.")
    ] = "",
    every: Annotated[float, typer.Option(help="Have something happen every so many seconds.")] = 0,
    seed: Annotated[int | None, typer.Option(help="Draw faults and ids from it, to repeat a run.")] = None,
    config: Config = CONFIG,
    as_json: Json = False,
) -> None:
    """Play a connector's outside system by itself. Prints its address, and settings with which to speak to it."""
    from hub.sdk.catalogue import simulator_of

    try:
        simulator = simulator_of(config.resolve().parent / "connectors", name)(seed=seed)
    except ValueError as error:
        fail(str(error))
    if bad_day and bad_day not in simulator.bad_days:
        fail(f"{name} knows no day named {bad_day!r}; it knows: {', '.join(simulator.bad_days)}")
    simulator.have(bad_day or "a good day")
    simulator.webhook_url = to
    asyncio.run(_play(simulator, name, port, every, as_json))


async def _play(simulator: Simulator, name: str, port: int, every: float, as_json: bool) -> None:
    over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    try:
        async with simulator.serve(port) as url:
            _announce(simulator, name, url, as_json)
            while not over.is_set():
                try:
                    await asyncio.wait_for(over.wait(), every or None)
                except TimeoutError:
                    _happen(simulator)
    except OSError as error:
        fail(f"port {port} cannot be listened on: {error.strerror}")


def _happen(simulator: Simulator) -> None:
    """Something new, as the system tells it: by calling where it calls, else by having it found."""
    try:
        _ = simulator.produce() if simulator.webhook_url else simulator.populate(1)
    except NotImplementedError:
        fail(
            "nothing happens there by itself" + ("" if simulator.webhook_url else ": say --to where it sends")
        )


def _announce(simulator: Simulator, name: str, url: str, as_json: bool) -> None:
    import json

    told: dict[str, Any] = {
        "url": url,
        "config": simulator.config(),
        "bad_days": sorted(simulator.bad_days),
    }
    if as_json:
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{name} is played at {url} until Ctrl-C; its settings, all made up:")
    for key, value in told["config"].items():
        typer.echo(f"  {key}: {value}")
    typer.echo(f"bad days: {', '.join(told['bad_days'])}")
