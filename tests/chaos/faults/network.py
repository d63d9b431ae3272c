"""Cables that are pulled, packets that go one way only or get lost. The namespaces make it; see `Network`."""

from __future__ import annotations

from tests.chaos.fault import Fault, Laboratory, fault
from tests.chaos.network import Host, no_filter
from tests.chaos.stage import Stage


class _Networked(Fault):
    kind = "worker"

    @classmethod
    def skipped(cls, stage: Stage) -> str:
        """Needs hosts apart."""
        return stage.network.reason

    async def begin(self, lab: Laboratory) -> None:
        """Draw a host, and do it to its link."""
        stage = lab.stage
        if self.kind == "broker":
            self.host: Host = self.random.choice(stage.brokers.hosts)
        else:
            group = stage.workers if self.kind == "worker" else stage.gateways
            self.host = self.random.choice(group).host
        self.strike(lab)

    def strike(self, lab: Laboratory) -> None:
        """Do it to `host`."""
        raise NotImplementedError


class _Cut(_Networked):
    def strike(self, lab: Laboratory) -> None:
        """Pull the cable."""
        lab.stage.network.cut(self.host)

    async def end(self, lab: Laboratory) -> None:
        """Put it back."""
        lab.stage.network.join(self.host)


class _Filtered(_Networked):
    rules: tuple[str, ...] = ()

    @classmethod
    def skipped(cls, stage: Stage) -> str:
        """Needs a packet filter as well."""
        return stage.network.reason or no_filter()

    def strike(self, lab: Laboratory) -> None:
        """Put the rules in force."""
        for rule in self.chosen(lab):
            self.host.run(f"iptables -A {rule}")

    async def end(self, lab: Laboratory) -> None:
        """Take all rules away."""
        self.host.run("iptables -F")

    def chosen(self, lab: Laboratory) -> tuple[str, ...]:
        """The rules, as after `iptables -A`."""
        return self.rules


@fault("worker-cut", "workers")
class WorkerCut(_Cut):
    """A worker is cut off from Kafka, and can still reach its subscribers."""

    least, most = 8.0, 10.0


@fault("gateway-cut", "gateways")
class GatewayCut(_Cut):
    """A gateway is cut off from everything."""

    kind = "gateway"
    least, most = 4.0, 8.0


@fault("broker-cut", "brokers")
class BrokerCut(_Cut):
    """A broker is cut off from everything, and does not know: it goes on leading what it led."""

    kind = "broker"
    least, most = 5.0, 10.0


@fault("broker-cut-from-brokers", "brokers")
class BrokerCutFromBrokers(_Filtered):
    """A broker is cut off from the other brokers alone, while clients still reach it: a leader without followers."""

    kind = "broker"
    least, most = 5.0, 10.0

    def chosen(self, lab: Laboratory) -> tuple[str, ...]:
        """By the others' addresses, both ways."""
        others = [one.address for one in lab.stage.brokers.hosts if one != self.host]
        return tuple(f"{way} {address} -j DROP" for address in others for way in ("INPUT -s", "OUTPUT -d"))


@fault("worker-mute", "workers")
class WorkerMute(_Filtered):
    """A worker hears everything and is heard by nobody: a cut one way."""

    rules = ("OUTPUT -o eth0 -j DROP",)
    least, most = 7.0, 10.0


@fault("worker-deaf", "workers")
class WorkerDeaf(_Filtered):
    """A worker is heard and hears nothing: a cut the other way."""

    rules = ("INPUT -i eth0 -j DROP",)
    least, most = 7.0, 10.0


@fault("broker-mute", "brokers")
class BrokerMute(_Filtered):
    """A broker hears everything and is heard by nobody: what is sent to it may well be written."""

    kind = "broker"
    rules = ("OUTPUT -o eth0 -j DROP",)
    least, most = 5.0, 10.0


@fault("worker-loss", "workers")
class WorkerLoss(_Filtered):
    """A tenth of a worker's packets get lost, both ways."""

    rules = (
        "INPUT -i eth0 -m statistic --mode random --probability 0.1 -j DROP",
        "OUTPUT -o eth0 -m statistic --mode random --probability 0.1 -j DROP",
    )
    least, most = 5.0, 10.0


@fault("broker-loss", "brokers")
class BrokerLoss(_Filtered):
    """A tenth of a broker's packets get lost, both ways."""

    kind = "broker"
    rules = WorkerLoss.rules
    least, most = 5.0, 10.0


@fault("gateway-loss", "gateways")
class GatewayLoss(_Filtered):
    """A tenth of a gateway's packets get lost, both ways."""

    kind = "gateway"
    rules = WorkerLoss.rules
    least, most = 5.0, 10.0
