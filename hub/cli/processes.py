"""The two kinds of process that make a hub. `hub up` starts them; a cluster runs each by itself."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from hub.cli.options import CONFIG, DATA_DIR, Config, DataDir
from hub.stream.roles import Role

Kafka = Annotated[
    str,
    typer.Option(
        "--kafka",
        help="Kafka's address, host:port[,host:port]. Without it, read from standard input, and end with it.",
    ),
]


def gateway(
    kafka: Kafka = "",
    config: Config = CONFIG,
    data_dir: DataDir = DATA_DIR,
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8080,
    listener: Annotated[
        int, typer.Option(help="Instead of a port: the file descriptor of a socket that listens.")
    ] = -1,
) -> None:
    """Run one gateway: webhooks in, the API, the registry's read endpoints."""
    from hub.cli.child import Pulse, await_go, end_within, say_ready
    from hub.cli.logs import set_up_logs

    set_up_logs()
    pulse = Pulse()
    pulse.start()

    from hub.gateway.process import GatewayProcess
    from hub.loading import load_hub

    loaded = load_hub(config)
    process = GatewayProcess(loaded, kafka or await_go(), data_dir)
    pulse.ill = process.ill
    process.run(port, listener, say_ready)
    end_within(3)
    process.close()


def worker(
    kafka: Kafka = "",
    config: Config = CONFIG,
    data_dir: DataDir = DATA_DIR,
    name: Annotated[str, typer.Option(help="Unique among the workers of this hub.")] = "worker-1",
    roles: Annotated[
        list[Role],
        typer.Option("--role", help="What it does; may be repeated. A hub needs each from some worker."),
    ] = list(Role),  # noqa: B006 - never changed
) -> None:
    """Run one worker, sharing the partitions with the other workers: all stages, or those of some roles."""
    from hub.cli.child import Pulse, await_go, end_within, say_ready
    from hub.cli.logs import set_up_logs
    from hub.stream import memory
    from hub.stream.open_files import allow_files

    set_up_logs()
    memory.confine()
    allow_files()  # each attempt under way is a connection, and those that hang are many at once
    Pulse().start()  # what goes wrong inside is the watchdog's to see

    import structlog
    import uvloop

    from hub.loading import load_hub
    from hub.stream.worker import STOP_S, Worker

    loaded = load_hub(config)
    kafka = kafka or await_go()

    async def work() -> None:
        try:
            running = asyncio.create_task(Worker(loaded, kafka, data_dir, name, roles).run(say_ready))

            def stop() -> None:
                running.cancel()
                end_within(STOP_S + 0.5)

            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, stop)
            await running
        except asyncio.CancelledError:
            # What could end in order has; a call that still waits for Kafka must not keep us.
            os._exit(0)
        except BaseException:  # noqa: BLE001 - told, and the process ends
            structlog.get_logger().exception("worker-died", worker=name)
            # Loudly, and at once: tasks and threads of a broken worker must not keep it half alive.
            os._exit(1)

    uvloop.run(work())


def prepare(kafka: Kafka = "", config: Config = CONFIG) -> None:
    """Judge the configuration, and make the topics that it needs. Exit 2 with what is wrong."""
    from hub.cli.check import checked
    from hub.cli.client import fail
    from hub.events.problem import Misconfigured
    from hub.stream import topics
    from hub.stream.broker import BrokerError
    from hub.stream.broker.given import GivenBroker

    loaded, problems = checked(config)
    if loaded is not None and not problems:
        wanted = topics.declare(loaded.settings.config, loaded.fleet.connectors, loaded.domains)
        try:
            topics.ensure(GivenBroker(kafka).address, wanted)
        except Misconfigured as error:
            problems = list(error.problems)
        except BrokerError as error:
            fail(str(error))
    for problem in problems:
        typer.echo(str(problem))
    if problems:
        raise typer.Exit(2)


def child_arguments(kind: str, config: Path, data_dir: Path, **more: Any) -> list[str]:
    """The command line of a child of `hub up`."""
    shared = [kind, "--config", str(config), "--data-dir", str(data_dir)]
    return shared + [part for name, value in more.items() for part in (f"--{name}", str(value))]
