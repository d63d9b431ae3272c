"""A Kafka broker by one setting: embedded, testcontainers, or the address of one that is already there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hub.stream.broker.errors import BrokerError

if TYPE_CHECKING:
    from hub.stream.broker.distribution import Say

__all__ = ["Broker", "BrokerError", "open_broker"]

_ADDRESSES = re.compile(r"[^\s,:]+:\d+|\[[0-9a-fA-F:]+\]:\d+")


class Broker(Protocol):
    """A broker that answers."""

    log_path: Path | None
    """Where it writes what it does, if it is ours."""

    @property
    def address(self) -> str:
        """`host:port`, several separated by commas."""

    @property
    def pid(self) -> int | None:
        """Its process, if it is a child of ours."""

    def alive(self) -> bool:
        """Whether it is still there, as far as we are responsible for it."""

    def start(self) -> None:
        """Start it again, at the same address, where it has ended. Raises BrokerError."""

    def stop(self, timeout: float = 10) -> None:
        """Stop what `open_broker` started. Idempotent."""


def open_broker(
    setting: str,
    data_dir: Path,
    *,
    say: Say = lambda _: None,
    throughput: bool = False,
) -> Broker:
    """`embedded`, `testcontainers` or `host:port[,host:port…]`; it answers when this returns.

    `data_dir` and `throughput` are for the embedded one; `say` is told of what takes long, and of what is
    known to be wrong with a version. Raises BrokerError with a remedy.
    """
    if setting == "embedded":
        from hub.stream.broker.embedded import EmbeddedBroker

        broker = EmbeddedBroker(data_dir, say=say, throughput=throughput)
        broker.start()
        return broker
    if setting == "testcontainers":
        from hub.stream.broker.container import ContainerBroker

        return ContainerBroker(say)
    if not all(_ADDRESSES.fullmatch(address) for address in setting.split(",")):
        remedy = "Give `embedded`, `testcontainers`, or host:port[,host:port…]"
        raise BrokerError(f"{setting!r} names no Kafka", remedy)
    from hub.stream.broker.given import GivenBroker, caution

    given = GivenBroker(setting)
    if told := caution(setting):
        say(told)
    return given
