"""Three brokers, each on its host and its disk, behind the proxy."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hub.stream.broker import ports, storage
from hub.stream.broker.embedded import EmbeddedBroker, Member
from hub.stream.broker.settings import Standing
from tests.chaos.network import Host

COUNT = 3
_HEAP_MB = 320


class Brokers:
    """A cluster with replication 3 and two in-sync replicas needed, whose clients come through `proxied`.

    `disks` are the directories, one a broker, which are to exist.
    """

    def __init__(self, disks: list[Path], hosts: list[Host], proxy_host: str) -> None:
        chosen: list[int] = []
        while len(chosen) < 4 * COUNT:
            port = ports.free_port()
            if port not in chosen:
                chosen.append(port)
        nodes = range(1, COUNT + 1)
        own, inner, controllers, told = (chosen[at * COUNT : (at + 1) * COUNT] for at in range(4))
        voters = dict(zip(nodes, controllers, strict=True))
        self.hosts = hosts
        addresses = {node: host.address for node, host in zip(nodes, hosts, strict=True)}
        cluster_id = storage.new_id()
        self.told = [f"{proxy_host}:{port}" for port in told]
        self.own = [f"{host.address}:{port}" for host, port in zip(hosts, own, strict=True)]
        self.all = [
            EmbeddedBroker(
                disks[at],
                port=own[at],
                member=Member(
                    node,
                    cluster_id,
                    voters,
                    Standing(addresses, self.told[at], inner[at], hosts[at].through, _HEAP_MB),
                ),
            )
            for at, node in enumerate(nodes)
        ]
        self.held: set[int] = set()
        """Places of those that somebody sees to: they are not started again."""
        self.falls: list[int] = []

    @property
    def address(self) -> str:
        """All, as clients are told."""
        return ",".join(self.told)

    def left_out_a_marker(self) -> bool:
        """Whether one took a partition without a leader for deleted, and left out the end of a transaction there.

        Kafka 4.3 does so where all brokers die at once (`docs/guarantees.md`); the one that is embedded does not.
        """
        logs = (one.log_path for one in self.all if one.log_path is not None)
        return any(b"likely deleted already and hence can be skipped" in log.read_bytes() for log in logs)

    def start(self) -> None:
        """Start all, and return once they answer. Raises BrokerError."""
        for broker in self.all:
            broker.start(wait=False)
        for broker in self.all:
            broker.wait_until_healthy()

    async def revive(self, place: int) -> None:
        """Start one that is dead, and return once it answers or 60 s have passed."""
        broker = self.all[place]
        if not broker.alive():
            await asyncio.to_thread(broker.start)

    async def revive_all(self) -> None:
        """Start all that are dead, and return once each answers."""
        dead = [broker for broker in self.all if not broker.alive()]
        for broker in dead:
            await asyncio.to_thread(broker.start, wait=False)
        for broker in dead:
            await asyncio.to_thread(broker.wait_until_healthy)

    async def keep(self) -> None:
        """Start again what falls; until cancelled."""
        while True:
            for place, broker in enumerate(self.all):
                if place not in self.held and not broker.alive():
                    self.falls.append(place + 1)
                    await asyncio.to_thread(broker.start, wait=False)
            await asyncio.sleep(0.2)

    def stop(self) -> None:
        """End all; what they hold goes with the stage."""
        for broker in self.all:
            broker.kill()
