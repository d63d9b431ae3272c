"""The two kinds of process that make a hub. `hub up` starts them; a cluster runs each by itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.options import CONFIG, DATA_DIR, Config, DataDir

if TYPE_CHECKING:
    from hub.gateway.state import Gateway

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
) -> None:
    """Run one gateway: webhooks in, the API, the registry's read endpoints."""
    from hub.cli.logs import set_up_logs
    from hub.cli.supervisor import await_go, say_ready

    set_up_logs()

    import uvloop

    from hub.gateway.state import Gateway
    from hub.journal.queries import Queries
    from hub.loading import load_hub
    from hub.stream.conditions import Conditions, KnownConditions, Oversight
    from hub.stream.controls import Controls
    from hub.stream.ingest import Ingest
    from hub.stream.job_runner import JobRunner
    from hub.stream.jobs import Jobs
    from hub.stream.subscriptions import Subscriptions
    from hub.stream.trial import Trial
    from hub.stream.works import works

    loaded = load_hub(config)
    settings = loaded.settings.config.gateway
    kafka = kafka or await_go()
    ingest = Ingest(kafka, settings.max_in_flight)
    subscriptions = Subscriptions()
    subscriptions.follow(kafka)
    jobs, controls, known = Jobs(), Controls(), KnownConditions()
    for one in (jobs, controls, known):
        one.follow(kafka)
    journal, trial = Queries(data_dir / "journal.db"), Trial(loaded)
    runner = JobRunner(kafka, jobs, works(kafka, jobs, journal, trial), journal.settle)
    state = Gateway(
        loaded=loaded,
        servers=kafka,
        ingest=ingest,
        subscriptions=subscriptions,
        jobs=jobs,
        journal=journal,
        trial=trial,
        oversight=Oversight(controls, Conditions(ingest.put)),
        known_conditions=known,
        master_key=(data_dir / "master.key").read_bytes(),
        operator_token=(data_dir / "operator.token").read_text().strip(),
    )
    runner.start()
    uvloop.run(_serve(state, settings.host, port, say_ready))
    runner.close()
    for one in (jobs, controls, known):
        one.close()
    subscriptions.close()
    ingest.close()


async def _serve(state: Gateway, host: str, port: int, on_ready: Callable[[], None]) -> None:
    import uvicorn

    from hub.gateway.app import make_gateway
    from hub.gateway.listeners import listening

    server = uvicorn.Server(
        uvicorn.Config(
            make_gateway(state),
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=5,
        )
    )
    conditions = state.oversight.conditions
    async with listening(state.loaded.fleet, state.ingest, conditions):
        telling = asyncio.create_task(conditions.run())
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
        if server.started:
            on_ready()
        await serving
        telling.cancel()


def worker(
    kafka: Kafka = "",
    config: Config = CONFIG,
    data_dir: DataDir = DATA_DIR,
    name: Annotated[str, typer.Option(help="Unique among the workers of this hub.")] = "worker-1",
) -> None:
    """Run one worker: all stages, sharing the partitions with the other workers."""
    from hub.cli.logs import set_up_logs
    from hub.cli.supervisor import await_go, say_ready

    set_up_logs()

    import uvloop

    from hub.loading import load_hub
    from hub.stream.worker import Worker

    loaded = load_hub(config)
    kafka = kafka or await_go()
    key = (data_dir / "master.key").read_bytes()

    async def work() -> None:
        one = Worker(loaded, kafka, data_dir, name, key)
        running = asyncio.create_task(one.run(say_ready))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, running.cancel)
        await running

    try:
        uvloop.run(work())
    except asyncio.CancelledError:
        os._exit(0)  # what could end in order has; a call that still waits for Kafka must not keep us
    except BaseException:  # noqa: BLE001 - told, and the process ends
        import structlog

        structlog.get_logger().exception("worker-died", worker=name)
        os._exit(1)  # loudly, and at once: threads of a broken worker must not keep it half alive


def child_arguments(kind: str, config: Path, data_dir: Path, **more: Any) -> list[str]:
    """The command line of a child of `hub up`."""
    shared = [kind, "--config", str(config), "--data-dir", str(data_dir)]
    return shared + [part for name, value in more.items() for part in (f"--{name}", str(value))]
