"""A hub in parts: Kafka and a gateway, and workers that are started when they are wanted."""

from __future__ import annotations

import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec

from benchmarks import webhooks
from hub.cli.child import READY
from hub.cli.processes import child_arguments
from hub.gateway.client import OPERATOR_TOKEN
from hub.loading import load_hub
from hub.stream import topics
from hub.stream.broker import open_broker
from hub.stream.broker.ports import free_port
from hub.testing.live import write_config

ROOT = Path(__file__).parents[1]
_PATIENCE = 60.0  # seconds


def config(folder: Path) -> Path:
    """A `hub.yaml` with the one account of GOV.UK Pay that `webhooks` speaks for, which is hardly ever asked."""
    instance = {
        "connector": "govuk_pay",
        "party": webhooks.PARTY,
        "poll_every_s": 86_400,
        "config": {
            "base_url": "http://127.0.0.1:9",
            "signing_secret": {"file": "signing-secret"},
            "api_key": {"file": "api-key"},
        },
    }
    return write_config(folder, ROOT, instances={webhooks.INSTANCE: instance})


@dataclass(slots=True)
class Parts:
    """What runs. `kafka` is its address, `gateway` a URL."""

    folder: Path
    kafka: str
    gateway: str = ""
    pids: dict[str, int] = field(default_factory=dict)

    def subscribe(self, url: str) -> None:
        """Have everything delivered there."""
        token = (self.folder / "data" / OPERATOR_TOKEN).read_text()
        body = msgspec.json.encode({"party": webhooks.PARTY, "url": url})
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        with urlopen(Request(f"{self.gateway}/v1/subscriptions", body, headers)):  # noqa: S310 - our own
            return

    @contextmanager
    def process(self, kind: str, **more: Any) -> Iterator[float]:
        """A gateway or a worker for the length of the block, which begins once it is ready: seconds that took."""
        name = more.get("name", kind)
        arguments = child_arguments(kind, self.folder / "hub.yaml", self.folder / "data", **more)
        began = time.monotonic()
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "hub", *arguments, "--kafka", self.kafka],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.pids[name] = process.pid
        try:
            assert process.stdout is not None
            if not any(line.strip() == READY for line in process.stdout):
                raise RuntimeError(f"the {name} ended: {(self.folder / f'{name}.log').read_text()[-2000:]}")
            yield time.monotonic() - began
        finally:
            process.terminate()
            process.wait(_PATIENCE)


@contextmanager
def gateway_and_kafka(say: Callable[[str], object]) -> Iterator[Parts]:
    """Kafka with all topics, and one gateway; no worker."""
    with (
        tempfile.TemporaryDirectory(prefix="hub-bench-", ignore_cleanup_errors=True) as name,
        ExitStack() as stack,
    ):
        folder = Path(name)
        data = folder / "data"
        data.mkdir()
        (data / "master.key").write_bytes(secrets.token_bytes(32))
        (data / OPERATOR_TOKEN).write_text(secrets.token_hex(24))
        loaded = load_hub(config(folder))
        broker = open_broker("embedded", data, say=say)
        stack.callback(broker.stop)
        wanted = topics.declare(loaded.settings.config, loaded.fleet.connectors, loaded.domains)
        topics.ensure(broker.address, wanted)
        parts = Parts(folder, broker.address)
        if broker.pid is not None:
            parts.pids["kafka"] = broker.pid
        port = free_port()
        stack.enter_context(parts.process("gateway", port=port))
        parts.gateway = f"http://127.0.0.1:{port}"
        yield parts
