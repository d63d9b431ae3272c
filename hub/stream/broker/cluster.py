"""Several embedded brokers, for tests that need one to fail."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Self

from hub.stream.broker import ports, storage
from hub.stream.broker.distribution import Say
from hub.stream.broker.embedded import EmbeddedBroker, Member

_PATIENCE = 2  # seconds; Kafka mends what a broker had no time to close when it starts again


class EmbeddedCluster:
    """Brokers with replication 3 and two in-sync replicas needed; each can be killed, stopped, frozen, started.

    Ports and cluster id are kept in `data_dir`, so that the same cluster can be opened again.
    """

    def __init__(self, data_dir: Path, brokers: int = 3, *, say: Say = lambda _: None) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        path = data_dir / "cluster.json"
        if not path.is_file():
            chosen: set[int] = set()
            while len(chosen) < 2 * brokers:
                chosen.add(ports.free_port())
            path.write_text(json.dumps({"id": storage.new_id(), "ports": list(chosen)}))
        kept = json.loads(path.read_text())
        voters = dict(enumerate(kept["ports"][brokers:], 1))
        self.brokers = [
            EmbeddedBroker(
                data_dir / f"node-{node}",
                say=say,
                port=kept["ports"][node - 1],
                member=Member(node, kept["id"], voters),
            )
            for node in voters
        ]

    @property
    def address(self) -> str:
        """All brokers, comma-separated."""
        return ",".join(broker.address for broker in self.brokers)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start all, then wait for each: none answers before there is a quorum. Raises BrokerError."""
        try:
            for broker in self.brokers:
                broker.start(wait=False)
            for broker in self.brokers:
                broker.wait_until_healthy()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop all at once. The last two cannot agree on anything any more, and are not waited for."""
        for broker in self.brokers:
            broker.ask_to_stop()
        deadline = time.monotonic() + _PATIENCE
        for broker in self.brokers:
            broker.stop(timeout=max(0, deadline - time.monotonic()))
