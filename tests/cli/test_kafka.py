"""The hub's own Kafka is started again when it ends, until that is no cure; it is stood in for here."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.cli import kafka
from hub.cli.kafka import Kafka
from hub.stream.broker import BrokerError
from hub.testing.live import until


class Puppet:
    """A broker without a process, of which `lives` starts work and the next ones fail. Opened, it has ended."""

    address = "127.0.0.1:9092"
    pid = None
    log_path = Path("broker.log")

    def __init__(self, lives: int) -> None:
        self.lives = lives
        self.starts = 0
        self.runs = False

    def alive(self) -> bool:
        return self.runs

    def start(self) -> None:
        self.starts += 1
        if self.starts > self.lives:
            raise BrokerError("its disk is full", "Make room")
        self.runs = True

    def stop(self, timeout: float = 10) -> None:
        self.runs = False


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "_FIRST_PAUSE", 0.0)


def test_one_that_ends_is_started_again_and_then_left_alone() -> None:
    puppet = Puppet(lives=9)
    tended = Kafka(lambda: puppet)

    def runs() -> bool:
        tended.tend()
        return puppet.runs

    assert until(runs)
    for _ in range(100):
        tended.tend()
    assert puppet.starts == 1


def test_one_that_ends_each_time_is_given_up_with_where_to_look() -> None:
    puppet = Puppet(lives=9)
    with pytest.raises(BrokerError, match=r"Kafka ended by itself\. See broker\.log"):
        ends_again_and_again(puppet)
    assert puppet.starts == 5


def test_one_that_cannot_be_started_is_given_up_with_its_own_remedy() -> None:
    puppet = Puppet(lives=1)
    with pytest.raises(BrokerError, match=r"its disk is full\. Make room"):
        ends_again_and_again(puppet)
    assert puppet.starts == 5


def ends_again_and_again(puppet: Puppet) -> None:
    """Ended whenever it runs, by whoever tends to it in turns."""
    tended = Kafka(lambda: puppet)

    def turn() -> bool:
        puppet.runs = False
        tended.tend()
        return False

    until(turn)
