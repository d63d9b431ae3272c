"""Brokers that die, freeze, restart, and partitions that change their leader."""

from __future__ import annotations

import asyncio

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from tests.chaos.fault import Fault, Laboratory, fault


class _OnBrokers(Fault):
    count = 1
    most = 8.0

    async def begin(self, lab: Laboratory) -> None:
        """Draw them, and keep the keeper away."""
        brokers = lab.stage.brokers
        self.victims = self.random.sample(range(len(brokers.all)), self.count)
        brokers.held.update(self.victims)
        for place in self.victims:
            await asyncio.to_thread(self.strike, lab, place)

    def strike(self, lab: Laboratory, place: int) -> None:
        """Do it to one; on a thread."""
        raise NotImplementedError

    async def end(self, lab: Laboratory) -> None:
        """All are back."""
        brokers = lab.stage.brokers
        await brokers.revive_all()
        brokers.held.difference_update(self.victims)


class _Killed(_OnBrokers):
    def strike(self, lab: Laboratory, place: int) -> None:
        """SIGKILL."""
        lab.stage.brokers.all[place].kill()


class _Frozen(_OnBrokers):
    def strike(self, lab: Laboratory, place: int) -> None:
        """SIGSTOP."""
        lab.stage.brokers.all[place].pause()

    async def end(self, lab: Laboratory) -> None:
        """SIGCONT."""
        for place in self.victims:
            lab.stage.brokers.all[place].resume()
        lab.stage.brokers.held.difference_update(self.victims)


@fault("broker-kill", "brokers")
class BrokerKill(_Killed):
    """One broker of three dies, and comes back."""


@fault("broker-stop", "brokers")
class BrokerStop(_OnBrokers):
    """One broker is stopped in order, hands its leaderships over, and comes back."""

    def strike(self, lab: Laboratory, place: int) -> None:
        """SIGTERM."""
        lab.stage.brokers.all[place].stop(timeout=20)


@fault("broker-freeze", "brokers")
class BrokerFreeze(_Frozen):
    """One broker freezes until it is given up, and comes back believing that it leads."""

    least, most = 5.0, 8.0


@fault("two-brokers-kill", "brokers")
class TwoBrokersKill(_Killed):
    """Two of three die: nothing can be accepted until one is back, and nothing that was claimed is missing."""

    count = 2
    least, most = 4.0, 5.0


@fault("two-brokers-freeze", "brokers")
class TwoBrokersFreeze(_Frozen):
    """Two of three freeze, and thaw."""

    count = 2
    least, most = 4.0, 5.0


@fault("kafka-away", "brokers")
class KafkaAway(_Killed):
    """All three die, and come back."""

    count = 3
    least, most = 5.0, 6.0


@fault("leader-change", "brokers")
class LeaderChange(Fault):
    """Every partition gets another leader, while all brokers are well."""

    async def begin(self, lab: Laboratory) -> None:
        """Turn the order of the replicas, and have the first of each elected."""
        await asyncio.to_thread(_turn, lab.stage.servers)


def _turn(servers: str) -> None:
    admin = KafkaAdminClient(bootstrap_servers=servers.split(","))
    try:
        turned = {}
        for topic in admin.describe_topics():
            for part in topic["partitions"]:
                replicas = list(part["replica_nodes"])
                turned[TopicPartition(topic["name"], part["partition_index"])] = [*replicas[1:], replicas[0]]
        admin.alter_partition_reassignments(turned)
        admin.elect_leaders(0, raise_errors=False)  # one whose first replica is behind keeps its leader
    finally:
        admin.close()
