"""The broker's own settings: small and quick for one node, safe for several."""

from __future__ import annotations

from collections.abc import Mapping


def server_properties(node_id: int, port: int, voters: Mapping[int, int]) -> str:
    """The text of `server.properties` for one combined node; `voters` is {node id: controller port}.

    Its data is in `data` below the directory it runs in, whatever characters that one's name has. Everything
    listens on the loopback address alone. What is not named here is Kafka's default, among them the six seconds
    below which it takes no session time-out.
    """
    replicas = min(3, len(voters))
    in_sync = 2 if replicas == 3 else 1
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node_id,
        "controller.quorum.voters": ",".join(f"{node}@127.0.0.1:{at}" for node, at in voters.items()),
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{voters[node_id]}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": "data",
        "default.replication.factor": replicas,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 4,
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
    return "".join(f"{name}={value}\n" for name, value in settings.items())
