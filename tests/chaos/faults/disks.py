"""Disks that are full: a broker's, and that of the hub's data directory with the journal on it."""

from __future__ import annotations

from tests.chaos.disks import Disk
from tests.chaos.fault import Fault, Laboratory, fault
from tests.chaos.stage import Stage


class _Full(Fault):
    least, most = 4.0, 8.0

    @classmethod
    def skipped(cls, stage: Stage) -> str:
        """Needs disks of their own: we do not fill the machine's."""
        return stage.no_disks

    def disk(self, lab: Laboratory) -> Disk:
        """Which."""
        raise NotImplementedError

    async def begin(self, lab: Laboratory) -> None:
        """Fill it."""
        self.chosen = self.disk(lab)
        self.chosen.fill()

    async def end(self, lab: Laboratory) -> None:
        """Empty it again."""
        self.chosen.free()


@fault("broker-disk-full", "brokers")
class BrokerDiskFull(_Full):
    """A broker's disk is full, of which it dies; with space it comes back."""

    def disk(self, lab: Laboratory) -> Disk:
        """Of a broker, drawn, whom the keeper leaves alone until there is space."""
        self.place = self.random.randrange(len(lab.stage.broker_disks))
        lab.stage.brokers.held.add(self.place)
        return lab.stage.broker_disks[self.place]

    async def end(self, lab: Laboratory) -> None:
        """Empty it, and start the broker if it died."""
        await super().end(lab)
        await lab.stage.brokers.revive(self.place)
        lab.stage.brokers.held.discard(self.place)


@fault("all-broker-disks-full", "brokers")
class AllBrokerDisksFull(Fault):
    """Every broker's disk is full: nothing is accepted until there is space."""

    least, most = 4.0, 6.0

    skipped = _Full.skipped

    async def begin(self, lab: Laboratory) -> None:
        """Fill all."""
        lab.stage.brokers.held.update(range(len(lab.stage.brokers.all)))
        for disk in lab.stage.broker_disks:
            disk.fill()

    async def end(self, lab: Laboratory) -> None:
        """Empty all, and start the brokers that died."""
        for disk in lab.stage.broker_disks:
            disk.free()
        await lab.stage.brokers.revive_all()
        lab.stage.brokers.held.clear()


@fault("data-disk-full", "data")
class DataDiskFull(_Full):
    """The data directory's disk is full, the journal with it: events go on, the journal catches up."""

    def disk(self, lab: Laboratory) -> Disk:
        """Of the data directory."""
        return lab.stage.data_disk
