"""Every family of faults, one module each; `FAULTS` has all of them by name."""

from tests.chaos.fault import FAULTS
from tests.chaos.faults import (
    brokers,
    clocks,
    disks,
    journal,
    memory,
    network,
    points,
    processes,
    proxying,
    receivers,
    records,
)

__all__ = [
    "FAULTS",
    "brokers",
    "clocks",
    "disks",
    "journal",
    "memory",
    "network",
    "points",
    "processes",
    "proxying",
    "receivers",
    "records",
]
