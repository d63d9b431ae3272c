"""Kafka in Docker, by testcontainers: the other way to get one where Docker answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.stream.broker.distribution import Say
from hub.stream.broker.errors import BrokerError
from hub.stream.broker.settings import FOR_EVER

# The last Confluent Platform whose image has the scripts that testcontainers' KafkaContainer starts; with Kafka 3.9.
_IMAGE = "confluentinc/cp-kafka:7.9.0"
_SETTINGS = {
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_MESSAGE_MAX_BYTES": str(2 << 20),
    "KAFKA_OFFSETS_RETENTION_MINUTES": str(FOR_EVER),
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
}


class ContainerBroker:
    """One broker in KRaft mode. Its data goes with it. Raises BrokerError if Docker does not answer."""

    log_path: Path | None = None  # `docker logs` has it
    pid: int | None = None

    def __init__(self, say: Say = lambda _: None) -> None:
        say(f"starting {_IMAGE} in Docker")
        self._container = _start()
        self.address = str(self._container.get_bootstrap_server())

    def alive(self) -> bool:
        """Whether the container runs."""
        wrapped = self._container.get_wrapped_container()
        wrapped.reload()
        return bool(wrapped.status == "running")

    def start(self) -> None:
        """Always refused: what ended had its data with it."""
        raise BrokerError("Kafka's container ended", "See `docker logs`, and start the hub again")

    def stop(self, timeout: float = 10) -> None:
        """Remove the container."""
        self._container.stop()


def _start() -> Any:
    try:
        from testcontainers.community.kafka import KafkaContainer
        from testcontainers.core.docker_client import DockerClient
    except ImportError:
        remedy = "Install the `dev` extra, or use the embedded broker"
        raise BrokerError("testcontainers is not installed", remedy) from None
    try:
        DockerClient().client.ping()
    except Exception as error:
        remedy = "Start Docker, or use the embedded broker, which needs none"
        raise BrokerError(f"Docker does not answer ({type(error).__name__})", remedy) from error
    container = KafkaContainer(_IMAGE).with_kraft()
    for name, value in _SETTINGS.items():
        container.with_env(name, value)
    try:
        container.start(timeout=60)
    except Exception as error:
        container.stop()
        remedy = "See `docker logs`, or use the embedded broker"
        raise BrokerError(f"Kafka did not start in Docker ({type(error).__name__})", remedy) from error
    return container
