"""A Kafka broker by one setting: embedded, testcontainers, or the address of one that is already there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from hub.stream.broker.distribution import Say
from hub.stream.broker.errors import BrokerError

__all__ = ["Broker", "BrokerError", "open_broker"]


class Broker(Protocol):
    """A broker that answers."""

    log_path: Path | None

    @property
    def address(self) -> str:
        """`host:port`, several separated by commas."""

    def alive(self) -> bool:
        """Whether it is still there, as far as we are responsible for it."""

    def stop(self) -> None:
        """Stop what `open_broker` started."""


def open_broker(
    setting: str, data_dir: Path, *, say: Say = lambda _: None, throughput: bool = False
) -> Broker:
    """`embedded`, `testcontainers` or `host:port[,host:port…]`. Raises BrokerError."""
    if setting == "embedded":
        from hub.stream.broker.embedded import EmbeddedBroker

        broker = EmbeddedBroker(data_dir, say=say, throughput=throughput)
        broker.start()
        return broker
    if setting == "testcontainers":
        return _Container()
    return _Given(setting)


class _Given:
    """A broker that somebody else runs."""

    log_path: Path | None = None

    def __init__(self, address: str) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        self.address = address
        try:
            AdminClient({"bootstrap.servers": address, "log_level": 0}).list_topics(timeout=10)
        except KafkaException as error:
            remedy = "Start it, correct --kafka, or leave --kafka away for the embedded one"
            raise BrokerError(f"no Kafka answers at {address} ({error.args[0].name()})", remedy) from None

    def alive(self) -> bool:
        return True

    def stop(self) -> None:
        return


class _Container:
    """Kafka in Docker, by testcontainers."""

    log_path: Path | None = None

    def __init__(self) -> None:
        try:
            from testcontainers.kafka import KafkaContainer

            self._container: Any = KafkaContainer("apache/kafka:4.3.1").with_kraft()
            self._container.start()
        except Exception as error:
            remedy = "Install the dev extra and start Docker, or use the embedded broker"
            raise BrokerError(f"testcontainers gives no Kafka: {type(error).__name__}", remedy) from error
        self.address = str(self._container.get_bootstrap_server())

    def alive(self) -> bool:
        return bool(self._container.get_wrapped_container().status != "exited")

    def stop(self) -> None:
        self._container.stop()
