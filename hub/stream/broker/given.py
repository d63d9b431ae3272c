"""A broker that somebody else runs."""

from __future__ import annotations

import socket
from pathlib import Path

from hub.stream.broker.errors import BrokerError

_LIMIT = 10  # seconds


class GivenBroker:
    """The brokers at `address` (`host:port`, several separated by commas). Raises BrokerError if none answers."""

    log_path: Path | None = None
    pid: int | None = None

    def __init__(self, address: str) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        self.address = address
        remedy = "Start it, correct --kafka, or leave --kafka away for the embedded one"
        refusals = [reason for one in address.split(",") if (reason := _refusal(one))]
        if len(refusals) == len(address.split(",")):  # librdkafka would go on trying until its time is up
            raise BrokerError(f"no Kafka answers at {address} ({refusals[0]})", remedy)
        try:
            AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=_LIMIT)
        except KafkaException as error:
            raise BrokerError(f"no Kafka answers at {address} ({error.args[0].name()})", remedy) from None

    def alive(self) -> bool:
        """Always: it is not ours to watch."""
        return True

    def stop(self, timeout: float = 10) -> None:
        """Leave it as it is."""


def _refusal(address: str) -> str:
    """Why no connection to `host:port` is to be had; empty if there is one."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_LIMIT).close()
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""
