"""`hub up`: broker, gateway and worker, in one command."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hub.cli.client import RUNNING, fail
from hub.cli.options import CONFIG, DATA_DIR, Config, DataDir

if TYPE_CHECKING:
    from hub.cli.kafka import Kafka
    from hub.cli.supervisor import Supervisor
    from hub.loading import Loaded
    from hub.stream.broker import Broker
    from hub.stream.broker.ownership import Ownership

Port = Annotated[int, typer.Option(help="The gateway's port; 0 for any free one.")]
KafkaChoice = Annotated[
    str,
    typer.Option(
        "--kafka",
        envvar="HUB_KAFKA",
        help="embedded (real Kafka, started and stopped with the hub), testcontainers, or host:port.",
    ),
]


_FROZEN_S = 10.0
"""A process that says nothing for so long is taken for frozen; longer, where a stage may stand still for longer."""

_STOPPED_WITHIN_S = 8.0
"""Children and then the broker, which has what they leave of it: all has ended within ten, on a busy machine too."""

_APART = (
    "Have a process for each role of each worker: events, delivery, upkeep. Some 200 MB more per worker,"
    " and an event is through in half the time under load."
)


@dataclass(frozen=True, slots=True)
class Running:
    """A hub that takes events. `watch` keeps it so until `stop`; `restart` replaces its processes meanwhile."""

    gateway: str
    kafka: str
    data_dir: Path
    watch: Callable[[], None]
    stop: Callable[[], None]
    restart: Callable[[], None]


def up(
    config: Config = CONFIG,
    data_dir: DataDir = DATA_DIR,
    port: Port = 8080,
    kafka: KafkaChoice = "embedded",
    workers: Annotated[int, typer.Option(min=1, max=16, help="How many workers.")] = 1,
    apart: Annotated[bool, typer.Option("--apart", help=_APART)] = False,
    with_demo: Annotated[
        bool, typer.Option("--demo", help="Play the demo, and show events as they pass.")
    ] = False,
) -> None:
    """Start the hub and keep it running until Ctrl-C. Data stays in --data-dir. SIGHUP is `hub restart`."""
    from hub.cli.logs import set_up_logs

    set_up_logs()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # while starting, both end what was started
    with running_hub(
        config, data_dir, port=port, kafka=kafka, workers=workers, apart=apart, say=typer.echo
    ) as hub:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: hub.stop())
        signal.signal(signal.SIGHUP, lambda *_: hub.stop() if _hung_up() else hub.restart())
        typer.echo(ready_text(hub, with_demo=with_demo))
        with _shown(config, data_dir) if with_demo else nullcontext():
            hub.watch()
            typer.echo("stopping")


def _hung_up() -> bool:
    """Whether SIGHUP has its first meaning: there was a terminal, and it was closed."""
    try:
        os.ttyname(0)
    except OSError as error:
        return error.errno == errno.EIO
    return False


@contextmanager
def _shown(config: Path, data_dir: Path) -> Iterator[None]:
    """The demo, played beside the hub, and every step of every event on the terminal."""
    from hub.cli.demo import play, print_reports
    from hub.cli.events import step_line
    from hub.gateway.client import Client, ClientError

    over = threading.Event()

    def after(reports: Any) -> None:
        print_reports(reports)
        typer.echo(f"Next: {sys.argv[0]} failures list; {sys.argv[0]} events trace PREM/2026/0001")
        over.wait()

    def play_on() -> None:
        try:
            play(config, Client(data_dir), data_dir, after)
        except BaseException as error:  # noqa: BLE001 - told, and the hub goes on
            if not over.is_set():
                typer.echo(f"hub: the demo ended early: {type(error).__name__}: {error}", err=True)

    def tail() -> None:
        client, last = Client(data_dir), -1
        while not over.wait(0.25):
            try:
                page = client.get("/v1/events/tail", after=last)
            except ClientError:  # a gateway that is replaced, or restarts
                continue
            last = page["last"]
            for step in page["steps"]:
                typer.echo(step_line(step))

    shown, played = (threading.Thread(target=run, daemon=True) for run in (tail, play_on))
    shown.start()
    played.start()
    try:
        yield
    finally:
        over.set()
        shown.join(1)  # the play ends with the program: it may be waiting for a minute


def ready_text(hub: Running, *, with_demo: bool = False) -> str:
    """What one sees when the hub takes events."""
    command = f"{sys.argv[0]} failures list --data-dir {hub.data_dir}"
    if not with_demo:
        command = f"{sys.argv[0]} demo --data-dir {hub.data_dir}"
    return "\n".join(
        [
            "ready",
            f"  webhooks   {hub.gateway}/webhooks/<instance>",
            f"  API        {hub.gateway}/docs",
            f"  metrics    {hub.gateway}/metrics",
            f"Next, in another terminal: {command}",
        ]
    )


@contextmanager
def running_hub(
    config: Path,
    data_dir: Path,
    *,
    port: int = 0,
    kafka: str = "embedded",
    workers: int = 1,
    apart: bool = False,
    say: Callable[[str], Any] = lambda _: None,
) -> Iterator[Running]:
    """A hub for as long as the block lasts. Ends the command, with what to do, if it cannot start whole."""
    from hub.cli.kafka import Kafka
    from hub.cli.supervisor import Supervisor
    from hub.loading import load_hub
    from hub.stream.broker import open_broker

    with _told(), ExitStack() as stack:
        stack.callback(_own(data_dir).release)
        loaded = load_hub(config)
        settings = loaded.settings.config
        listener = stack.enter_context(_listening(settings.gateway.host, port))
        supervisor = Supervisor(
            _slots(config, data_dir, listener.fileno(), _roles(workers, apart=apart)),
            data_dir,
            lambda kafka: ["prepare", "--config", str(config), "--kafka", kafka],
            max(_FROZEN_S, 1.5 * settings.watchdog.stuck_after_s),
        )
        tended = Kafka(partial(open_broker, kafka, data_dir, say=say))
        stack.callback(_close, supervisor, tended)
        supervisor.start()  # the children load while Kafka starts
        broker = tended.opened()
        _prepare_kafka(broker, loaded, say)
        supervisor.go(broker.address, 60, tended.tend)
        address = _address(settings.gateway.host, listener.getsockname()[1])
        _announce(data_dir, address, broker.address)
        stack.callback((data_dir / RUNNING).unlink, missing_ok=True)
        yield Running(
            address,
            broker.address,
            data_dir,
            lambda: supervisor.watch(tended.tend),
            supervisor.stop,
            supervisor.restart,
        )


def _own(data_dir: Path) -> Ownership:
    """Have the data directory for this hub alone, and its keys in it."""
    from hub.cli.keys import cut_short, make_keys
    from hub.events.problem import Misconfigured
    from hub.stream.broker.ownership import Ownership

    try:
        ownership = Ownership(data_dir, "a hub")
        make_keys(data_dir)
        (data_dir / RUNNING).unlink(missing_ok=True)  # of one that was killed
    except OSError as error:
        fail(f"{error.filename or data_dir} cannot be written: {error.strerror}")
    if problems := list(cut_short(data_dir)):
        raise Misconfigured(problems)
    return ownership


def _prepare_kafka(broker: Broker, loaded: Loaded, say: Callable[[str], Any]) -> None:
    """Its topics as they are to be; and what one that is not ours would forget is told."""
    from hub.stream import topics
    from hub.stream.broker.given import GivenBroker, forgetful

    config = loaded.settings.config
    topics.ensure(broker.address, topics.declare(config, loaded.fleet.connectors, loaded.domains))
    kept = max(config.kafka.raw_retention_days, config.kafka.event_retention_days)
    if isinstance(broker, GivenBroker) and (told := forgetful(broker.address, kept)):
        say(told)


@contextmanager
def _told() -> Iterator[None]:
    """End the command with what is wrong and what to do."""
    from hub.stream.broker import BrokerError

    try:
        yield
    except (BrokerError, ChildProcessError, TimeoutError) as error:
        fail(str(error))


def _close(supervisor: Supervisor, kafka: Kafka) -> None:
    """Stop the children, which leave their group in order; then Kafka, which has what time they left."""
    until = monotonic() + _STOPPED_WITHIN_S
    try:
        supervisor.close()
    finally:
        kafka.close(until)


def _roles(workers: int, *, apart: bool) -> dict[str, list[str]]:
    """The roles of each worker process, by its name; none for all."""
    from hub.stream.roles import Role

    names = [f"worker-{number}" for number in range(1, workers + 1)]
    return (
        {f"{name}-{role}": [role] for name in names for role in Role}
        if apart
        else {name: [] for name in names}
    )


def _slots(config: Path, data_dir: Path, listener: int, workers: Mapping[str, list[str]]) -> list[Any]:
    """Workers first: they are replaced first, so that what the gateway takes is understood by them."""
    from hub.cli.child import Child
    from hub.cli.processes import child_arguments
    from hub.cli.supervisor import Slot

    logs = data_dir / "logs"
    logs.mkdir(exist_ok=True)

    def worker(slot: str, roles: list[str], number: int) -> Child:
        # Two names in turn: the next one lives beside the one that it replaces.
        name = f"{slot}b" if number % 2 else slot
        arguments = child_arguments("worker", config, data_dir, name=name)
        return Child(slot, [*arguments, *(f"--role={role}" for role in roles)], logs / f"{slot}.log")

    def gateway(_number: int) -> Child:
        arguments = child_arguments("gateway", config, data_dir, listener=listener)
        return Child("gateway", arguments, logs / "gateway.log", [listener])

    slots = [Slot(name, partial(worker, name, roles)) for name, roles in workers.items()]
    return [*slots, Slot("gateway", gateway)]


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """The gateway's socket: ours, so that requests wait a moment, and are not refused, while a gateway is replaced."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        made = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            fail(f"{host}:{port} cannot be listened on: {error.strerror}. See gateway.host in hub.yaml")
        fail(f"port {port} is taken. Give another with --port, or 0 for any free one")
    with made:
        yield made


def _address(host: str, port: int) -> str:
    """Where people on this machine find the gateway."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{reached}:{port}"


def _announce(data_dir: Path, gateway: str, kafka: str) -> None:
    text = json.dumps({"gateway": gateway, "kafka": kafka, "pid": os.getpid()})
    part = data_dir / (RUNNING + ".part")
    part.write_text(text)
    part.replace(data_dir / RUNNING)
