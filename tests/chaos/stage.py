"""The stage: three brokers behind a proxy, gateways and workers on hosts of their own, and their subscribers."""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from hub.delivery.signing import Secret
from hub.loading import Loaded, load_hub
from hub.stream import topics
from hub.stream.broker import ports
from tests.chaos import brokers as cluster
from tests.chaos.control import Proxy
from tests.chaos.disks import Disk, cannot_mount
from tests.chaos.generator import INSTANCES
from tests.chaos.journals import PostgresDatabase, SqliteFile
from tests.chaos.network import Host, Network, listening
from tests.chaos.processes import ROOT, Keeper, Process, until
from tests.chaos.receivers import Receivers, Subscriber
from tests.chaos.registers import INSTANCES as OFFICES
from tests.chaos.registers import Offices
from tests.chaos.truth import FEE_TYPE
from tests.postgres import postgres

_START_S = 90.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What stands on the stage. `wrapper` is the module, with arguments, that gateways and workers are run by."""

    gateways: int = 2
    workers: int = 2
    partitions: int = 4
    disk_mb: int = 6144
    postgresql: bool = False
    apart: bool = True
    wrapper: tuple[str, ...] = ("tests.chaos.child",)
    speed: float = 2000.0


@dataclass
class Stage:
    """Made by `up`, taken away by `down`, which is safe at any time."""

    folder: Path
    seed: int
    plan: Plan = field(default_factory=Plan)
    gateways: list[Process] = field(default_factory=list)
    workers: list[Process] = field(default_factory=list)
    disks: list[Disk] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.subscribers = subscribers()
        self.receivers = Receivers(self.subscribers, self.seed)
        self.no_disks = cannot_mount()
        self._owned = ExitStack()

    async def up(self) -> None:
        """Return once everything takes part and every subscription is made."""
        plan = self.plan
        self.network = Network(apart=plan.apart)
        self.broker_disks = [self._disk(f"broker-{n}", plan.disk_mb) for n in range(1, cluster.COUNT + 1)]
        self.data_disk = self._disk("data", plan.disk_mb)
        self.data = self.data_disk.path
        hosts = [self.network.add(f"broker-{n}") for n in range(1, cluster.COUNT + 1)]
        self.brokers = cluster.Brokers([disk.path for disk in self.broker_disks], hosts, self.network.lab)
        self.proxy = Proxy(list(zip(self.brokers.told, self.brokers.own, strict=True)))
        self.offices = await asyncio.to_thread(Offices, self.network.lab, self.folder / "offices")
        self.journal: SqliteFile | PostgresDatabase = SqliteFile(self.data / "journal.db")
        if plan.postgresql:
            serving = postgres(self.network.lab)
            self.journal = PostgresDatabase(await asyncio.to_thread(self._owned.enter_context, serving))
        await asyncio.to_thread(self.brokers.start)
        self.loaded = await asyncio.to_thread(self._configure)
        self._processes()
        await self._serve()
        for process in self.processes:
            process.start()
        self.keeper = Keeper(self.processes)
        self.tasks += [asyncio.create_task(self.keeper.run()), asyncio.create_task(self.brokers.keep())]
        if not await until(lambda: all(one.ready() for one in self.processes), _START_S):
            raise RuntimeError("\n".join(f"{one.name}: {one.last_words()}" for one in self.processes))
        for subscriber in self.subscribers:
            await self._subscribe(subscriber)

    async def down(self) -> None:
        """End and remove everything."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for process in self.processes:
            process.held = True
            if process.popen is not None:
                process.popen.kill()
                process.popen.wait()
        await self.receivers.close()
        if hasattr(self, "brokers"):
            await asyncio.to_thread(self.brokers.stop)
        for name in ("proxy", "offices"):
            if hasattr(self, name):
                getattr(self, name).close()
        await asyncio.to_thread(self._owned.close)
        if hasattr(self, "network"):
            self.network.close()
        for disk in self.disks:
            disk.close()

    @property
    def processes(self) -> list[Process]:
        """Gateways and workers."""
        return [*self.gateways, *self.workers]

    @property
    def servers(self) -> str:
        """Kafka, for the laboratory's own use."""
        return self.brokers.address

    @property
    def urls(self) -> list[str]:
        """The gateways."""
        return [
            f"http://{one.host.address}:{port}" for one, port in zip(self.gateways, self._ports, strict=True)
        ]

    @property
    def clients(self) -> list[str]:
        """The addresses of gateways and workers; empty where all share one, and no peer can be told apart."""
        return [one.host.address for one in self.processes] if self.network.apart else []

    def peers(self, *processes: Process) -> list[str]:
        """The addresses of these, likewise."""
        return [one.host.address for one in processes] if self.network.apart else []

    def _disk(self, name: str, size_mb: int) -> Disk:
        disk = Disk(self.folder / name, size_mb, mounted=not self.no_disks)
        self.disks.append(disk)
        return disk

    def _configure(self) -> Loaded:
        config = self.folder / "config"
        config.mkdir(exist_ok=True)
        for name in ("connectors", "routes", "schemas"):
            (config / name).symlink_to(ROOT / name)
        (config / "signing-secret").write_text("webhook_test_key")
        (config / "api-key").write_text("api_test_key")
        (config / "sftp-password").write_text(self.offices.password)
        (config / "hub.yaml").write_text(yaml.safe_dump(self._settings()))
        (self.data / "master.key").write_bytes(secrets.token_bytes(32))
        (self.data / "operator.token").write_text(secrets.token_hex(24))
        loaded = load_hub(config / "hub.yaml")
        declared = topics.declare(loaded.settings.config, loaded.fleet.connectors, loaded.domains)
        topics.ensure(self.servers, declared)
        return loaded

    def _settings(self) -> dict[str, Any]:
        instance = {
            "connector": "govuk_pay",
            "poll_every_s": 3600,
            "config": {"signing_secret": {"file": "signing-secret"}, "api_key": {"file": "api-key"}},
        }
        pays = {name: {**instance, "party": party} for party, name in INSTANCES.items()}
        registers = {
            name: {"connector": "premises_licensing", "party": party, "poll_every_s": 0.2, "config": config}
            for (party, name), config in zip(OFFICES.items(), self.offices.config, strict=True)
        }
        return {
            "parties": {party: {"name": f"Council {party}"} for party in INSTANCES},
            "instances": pays | registers,
            "gateway": {"host": "0.0.0.0" if self.plan.apart else "127.0.0.1"},
            "journal": {"database": self.journal.server.url} if self.journal.server else {},
            "kafka": {"replication": 3, "partitions": self.plan.partitions},
            "delivery": {"allow_local": True, "speed": self.plan.speed, "timeout_s": 3.0},
        }

    def _processes(self) -> None:
        self._ports = [8080 if self.network.apart else ports.free_port() for _ in range(self.plan.gateways)]
        for number, port in enumerate(self._ports, 1):
            self.gateways.append(self._process("gateway", number, "--port", str(port)))
        for number in range(1, self.plan.workers + 1):
            self.workers.append(self._process("worker", number, "--name", f"worker-{number}"))

    def _process(self, kind: str, number: int, *more: str) -> Process:
        name = f"{kind}-{number}"
        shared = ["--config", str(self.folder / "config" / "hub.yaml"), "--data-dir", str(self.data)]
        log = self.folder / f"{name}.log"
        host = self.network.add(name)
        return Process(name, host, [kind, *shared, *more], self.servers, log, wrapper=self.plan.wrapper)

    async def _serve(self) -> None:
        """Subscribers are on the loopback address, the only one that a hub under trial delivers to unasked."""
        every: Sequence[Host] = [one.host for one in self.workers]
        hosts = every if self.network.apart else every[:1]
        first = hosts[0].inside(lambda: listening("127.0.0.1"))
        self._receiver_port = first.getsockname()[1]
        rest = [host.inside(lambda: listening("127.0.0.1", self._receiver_port)) for host in hosts[1:]]
        await self.receivers.serve([first, *rest])
        for worker in self.workers:
            for instance in INSTANCES.values():
                name = f"HUB_{instance}_BASE_URL".upper().replace("-", "_")
                worker.environment[name] = f"http://127.0.0.1:{self._receiver_port}"

    async def _subscribe(self, subscriber: Subscriber) -> None:
        asked = {
            "party": subscriber.party,
            "url": f"http://127.0.0.1:{self._receiver_port}/{subscriber.name}",
            "types": list(subscriber.types),
        }
        made = await self.call("POST", "/v1/subscriptions", asked)
        subscriber.id, subscriber.secret = made["id"], Secret(made["secret"])

    async def call(self, method: str, path: str, body: Any = None, gateway: int = 0) -> Any:
        """The operators' API."""
        token = (self.data / "operator.token").read_text()
        headers = {"authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(30)) as session,
            session.request(method, self.urls[gateway] + path, json=body) as answer,
        ):
            answer.raise_for_status()
            return await answer.json()

    def remove(self) -> None:
        """Logs and all; only after `down`."""
        shutil.rmtree(self.folder, ignore_errors=True)


def subscribers() -> list[Subscriber]:
    """One that is well, one of few types, and one that is never quite well."""
    first, second = INSTANCES
    troubled = {"500": 0.01, "503": 0.003, "reset": 0.003, "lost": 0.01, "half": 0.003, "slow": 0.001}
    return [
        Subscriber("well", first),
        Subscriber("fees", first, (FEE_TYPE,)),
        Subscriber("troubled", second, usual=troubled),
    ]
