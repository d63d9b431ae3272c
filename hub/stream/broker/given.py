"""A broker that somebody else runs."""

from __future__ import annotations

import socket
from contextlib import closing
from math import inf
from pathlib import Path

from hub.stream.broker.errors import BrokerError

_LIMIT = 10  # seconds
_DAY = 24 * 60  # minutes
_REMEMBERS = "offsets.retention.minutes"
"""A Kafka setting: after so long without a member a group is forgotten, and in one that has members a topic that they
no longer read (KIP-211)."""
_KAFKA_4_3 = 30
"""The first `metadata.version` that came with it: `IBP_4_3_IV0` in Kafka's `MetadataVersion`."""
_CAUTION = (
    "this Kafka is 4.3 or newer: if all its brokers die at once, what is committed may stay unread. Take 4.2, or see"
    " docs/guarantees.md, Watch and restart"
)


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

    def start(self) -> None:
        """Leave it as it is."""

    def stop(self, timeout: float = 10) -> None:
        """Leave it as it is."""


def caution(address: str) -> str:
    """What is known to be wrong with the version of the brokers at `address`; empty if nothing is."""
    return _CAUTION if _metadata_version(address) >= _KAFKA_4_3 else ""


def forgetful(address: str, days: int) -> str:
    """What is wrong with how long the brokers at `address` remember what was read of a topic that is kept for `days`.

    Empty if nothing is, or they do not say.
    """
    kept = _remembers(address) / _DAY
    if kept >= days:
        return ""
    return (
        f"this Kafka forgets what a hub has read that is stopped for {kept:.3g} days, and keeps records for {days}: it"
        f" would take them in again. Set offsets.retention.minutes to {days * _DAY} or more on its brokers"
    )


def _remembers(address: str) -> float:
    """Minutes, of the most forgetful broker there; endless if none says."""
    from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        with closing(KafkaAdminClient(bootstrap_servers=address.split(","))) as admin:
            brokers = [str(broker["broker_id"]) for broker in admin.describe_cluster()["brokers"]]
            asked = [ConfigResource(ConfigResourceType.BROKER, name, {_REMEMBERS: ""}) for name in brokers]
            told = admin.describe_configs(asked, config_filter="all")["broker"]
            return min(int(told[name][_REMEMBERS]["value"]) for name in brokers)
    except (KafkaError, KeyError):
        return inf


def _metadata_version(address: str) -> int:
    """The newest that a broker there knows, 0 if it does not say."""
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        with closing(KafkaAdminClient(bootstrap_servers=address.split(","))) as admin:
            return int(admin.describe_features()["metadata.version"]["supported"][1])
    except (KafkaError, KeyError):
        return 0


def _refusal(address: str) -> str:
    """Why no connection to `host:port` is to be had; empty if there is one."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_LIMIT).close()
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""
