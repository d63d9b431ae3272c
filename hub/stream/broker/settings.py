"""The broker's own settings: small and quick for one node, safe for several."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"

FOR_EVER = 2**31 - 1
"""In minutes, as Kafka counts how long it remembers what a group has read: the most that it takes."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the brokers of a cluster stand, for tests that cut them off; without it, all on the loopback address.

    `hosts` is {node id: address}. Clients are told `told` (host:port, a proxy's) instead of the broker's own
    address, and the brokers then speak to each other on the port `inner`. `through` is the command that Java is
    started by, such as one that enters a network namespace.
    """

    hosts: Mapping[int, str] = field(default_factory=dict)
    told: str = ""
    inner: int = 0
    through: tuple[str, ...] = ()
    heap_mb: int = 512

    def host(self, node_id: int) -> str:
        """The address that a broker listens on."""
        return self.hosts.get(node_id, LOOPBACK)


ALONE = Standing()


def server_properties(node_id: int, port: int, voters: Mapping[int, int], standing: Standing = ALONE) -> str:
    """The text of `server.properties` for one combined node; `voters` is {node id: controller port}.

    Its data is in `data` below the directory it runs in, whatever characters that one's name has. Everything
    listens on the loopback address alone, unless `standing` says otherwise. What is not named here is Kafka's
    default, among them the six seconds below which it takes no session time-out.
    """
    processors = os.cpu_count() or 1
    replicas = min(3, len(voters))
    in_sync = 2 if replicas == 3 else 1
    host = standing.host(node_id)
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node_id,
        "controller.quorum.voters": ",".join(
            f"{node}@{standing.host(node)}:{at}" for node, at in voters.items()
        ),
        "listeners": f"PLAINTEXT://{host}:{port},CONTROLLER://{host}:{voters[node_id]}",
        "advertised.listeners": f"PLAINTEXT://{standing.told or f'{host}:{port}'}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": "data",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": 8,
        "offsets.retention.minutes": FOR_EVER,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 4,
        # No more than there are processors, up to Kafka's own 8 and 3: among idle ones each finds its caches cold.
        "num.io.threads": min(8, max(2, processors)),
        "num.network.threads": min(3, max(1, processors // 2)),
        "group.initial.rebalance.delay.ms": 0,
        "auto.create.topics.enable": "false",
        "message.max.bytes": 2 << 20,
        "log.cleaner.dedupe.buffer.size": 16 << 20,
    }
    if replicas == 1:
        settings |= {"controller.quorum.append.linger.ms": 0}  # nobody to share a write with
    else:  # only tests run several on one machine, and they wait for a dead one to be noticed
        settings |= {
            "broker.heartbeat.interval.ms": 500,
            "broker.session.timeout.ms": 3000,
            "controller.quorum.election.timeout.ms": 500,
            "controller.quorum.election.backoff.max.ms": 300,
        }
    if standing.told:  # or the brokers would reach each other by the way that is told to clients
        inner = f"INNER://{host}:{standing.inner}"
        settings |= {
            "listeners": f"{settings['listeners']},{inner}",
            "advertised.listeners": f"{settings['advertised.listeners']},{inner}",
            "inter.broker.listener.name": "INNER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,INNER:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
