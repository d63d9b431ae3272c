"""A whole hub for tests: real processes, real Kafka, GOV.UK Pay played by its simulator."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import yaml

from connectors.govuk_pay.simulator import PaySimulator
from hub.delivery.receiver import Received, Receiver
from hub.gateway.client import Client
from hub.sdk.simulator import Simulator
from hub.testing.journeys.base import subscribed, until

__all__ = ["COUNCILS", "LiveHub", "as_instance", "live_hub", "until", "write_config"]

COUNCILS = {"birmingham-pay": "E08000025", "westminster-pay": "E09000033"}


def write_config(folder: Path, root: Path, **sections: Any) -> Path:
    """A `hub.yaml` in `folder` over the project's connectors, routes and schemas.

    `sections` replace those that there are; `more_instances` are added.
    """
    more = sections.pop("more_instances", {})
    for name in ("connectors", "routes", "schemas"):
        if not (folder / name).exists():
            (folder / name).symlink_to(root / name)
    for name, secret in (("signing-secret", "webhook_test_key"), ("api-key", "api_test_key")):
        (folder / name).write_text(secret)
    instance = {
        "connector": "govuk_pay",
        "poll_every_s": 5,  # each round is a transaction, and several such hubs idle beside each other
        "config": {"signing_secret": {"file": "signing-secret"}, "api_key": {"file": "api-key"}},
    }
    config: dict[str, Any] = {
        "parties": {party: {"name": f"Council {party}"} for party in COUNCILS.values()},
        "instances": {name: {**instance, "party": party} for name, party in COUNCILS.items()} | more,
        "delivery": {"allow_local": True, "speed": 100},
        **sections,
    }
    path = folder / "hub.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


#: Settings that are secrets in any connector.
_SECRETS = frozenset(
    ("api_key", "callback_token", "inbound_token", "password", "private_key", "sftp_password", "shared_key")
)


def as_instance(
    folder: Path, name: str, party: str, simulator: Simulator, /, **settings: Any
) -> dict[str, dict[str, Any]]:
    """The instance that speaks to a simulator, as it stands in the `hub.yaml` of `folder`: secrets in files beside it.

    `settings` replace those that the simulator gives; None leaves one out.
    """
    told: dict[str, Any] = {}
    for setting, value in (simulator.config() | settings).items():
        if setting in _SECRETS and value is not None:
            (folder / f"{name}-{setting}").write_text(value)
            told[setting] = {"file": f"{name}-{setting}"}
        elif value is not None:
            told[setting] = (
                list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
            )
    connector = type(simulator).__module__.split(".")[1]
    return {name: {"connector": connector, "party": party, "poll_every_s": 0.2, "config": told}}


@dataclass
class LiveHub:
    """`hub up` as a process of its own, on a data directory that outlives it."""

    config: Path
    data_dir: Path
    kafka: str = "embedded"
    workers: int = 1
    apart: bool = False
    simulators: dict[str, PaySimulator] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    _client: tuple[str, Client] | None = None
    _http: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=30, trust_env=False))

    @property
    def client(self) -> Client:
        """The commands' client, kept for as long as the gateway stays where it is."""
        where = (self.data_dir / "hub.json").read_text()
        if self._client is None or self._client[0] != where:
            self._client = (where, Client(self.data_dir))
        return self._client[1]

    @property
    def gateway(self) -> str:
        """The gateway's address."""
        return self.client.gateway

    @property
    def client_kafka(self) -> str:
        """Kafka's address."""
        return str(json.loads((self.data_dir / "hub.json").read_text())["kafka"])

    def logs(self) -> str:
        """All that `hub up` and its processes have said."""
        files = [self.data_dir / "up.log", *sorted((self.data_dir / "logs").glob("*.log"))]
        return "".join(file.read_text(errors="replace") for file in files)

    def start(self, timeout: float = 150) -> None:
        """Start, and return once it takes events: a hub gives its Kafka a minute, and then its processes one."""
        environment = dict(os.environ)
        for name, simulator in self.simulators.items():
            environment[f"HUB_{name}_BASE_URL".upper().replace("-", "_")] = (
                simulator.url or "http://127.0.0.1:9"
            )
        (self.data_dir / "hub.json").unlink(missing_ok=True)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        with (self.data_dir / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "hub", "up", "--config", str(self.config)),
                    *("--data-dir", str(self.data_dir), "--port", "0"),
                    *("--kafka", self.kafka, "--workers", str(self.workers)),
                    *(["--apart"] if self.apart else []),
                ],
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + timeout
        while not (self.data_dir / "hub.json").is_file():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"hub up failed:\n{(self.data_dir / 'up.log').read_text()[-3000:]}")
            time.sleep(0.05)
        for name, simulator in self.simulators.items():
            simulator.webhook_url = f"{self.gateway}/webhooks/{name}"

    def kill(self) -> None:
        """`kill -9` of `hub up`: everything else of it must end by itself."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, timeout: float = 30) -> int:
        """Stop in order; the exit status. One that does not is killed."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        finally:
            self.kill()

    def post(self, instance: str, body: bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
        """Post a webhook, signed as GOV.UK Pay would unless `headers` are given."""
        signed = self.simulators[instance].sign(body) if headers is None else headers
        return self._http.post(f"{self.gateway}/webhooks/{instance}", content=body, headers=signed)

    @contextmanager
    def subscriber(
        self, party: str, answer: Callable[[Received], int] | None = None, **asked: Any
    ) -> Iterator[Receiver]:
        """A subscriber that verifies every signature, subscribed for the length of the block."""
        with subscribed(lambda: self.client, party, answer, **asked) as receiver:
            yield receiver


@contextmanager
def live_hub(
    folder: Path,
    root: Path,
    kafka: str = "embedded",
    workers: int = 1,
    *,
    apart: bool = False,
    **sections: Any,
) -> Iterator[LiveHub]:
    """A hub with both councils' GOV.UK Pay, up for the length of the block."""
    secrets = {"signing_secret": "webhook_test_key", "api_key": "api_test_key"}
    pays = {name: PaySimulator(**secrets) for name in COUNCILS}  # type: ignore[arg-type]
    hub = LiveHub(write_config(folder, root, **sections), folder / "data", kafka, workers, apart, pays)
    with pays["birmingham-pay"].running(), pays["westminster-pay"].running():
        hub.start()
        try:
            yield hub
        finally:
            # In order takes ten seconds, which a Kafka that nobody has any use for afterwards is not worth.
            hub.kill() if kafka == "embedded" else hub.stop()
