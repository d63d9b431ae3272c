"""Every family of faults, one module each; importing this enters all in the register."""

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
