"""A hub that is told to stop has stopped within ten seconds, whatever hangs; and loses nothing by it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hub.delivery.receiver import Received
from hub.stream.broker.embedded import EmbeddedBroker
from hub.testing.live import LiveHub, live_hub, until

LIMIT_S = 10.0


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path / "broker") as one:
        yield one


def stopped_within(hub: LiveHub) -> float:
    began = time.monotonic()
    assert hub.stop() == 0
    return time.monotonic() - began


class Hang:
    """A poller that hangs, and a subscriber that does until it may `go_on`."""

    def __init__(self, poller: Path) -> None:
        self.go_on = threading.Event()
        self._asked = threading.Event()
        self._poller = poller

    def answer(self, _: Received) -> int:
        self._asked.set()
        self.go_on.wait(120)
        return 204

    def begins(self, hub: LiveHub) -> str:
        """Returns when both hang, with the id of the payment that the subscriber has in hand."""
        paid = hub.simulators["birmingham-pay"].paid_payment("PREM/2026/1", 100)
        assert self._asked.wait(60)
        assert until(self._poller.exists)
        return paid


@pytest.fixture
def hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hang]:
    poller = tmp_path / "poller-hangs"
    monkeypatch.setenv("HUB_FAILPOINT", f"poll.commit:hang@{poller}")
    made = Hang(poller)
    yield made
    made.go_on.set()


@contextmanager
def kept_frozen(pid: int) -> Iterator[None]:
    """Frozen again whenever it is thawed, so that it can be ended by force alone."""
    over = threading.Event()

    def freeze() -> None:
        with suppress(ProcessLookupError):
            while not over.wait(0.01):
                os.kill(pid, signal.SIGSTOP)

    thread = threading.Thread(target=freeze, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_with_a_hanging_subscriber_a_hanging_poller_and_a_kafka_of_its_own_that_does_not_end(
    tmp_path: Path, root: Path, hang: Hang
) -> None:
    with (
        live_hub(tmp_path, root) as hub,
        hub.subscriber("E08000025", hang.answer, types=["licensing.fee.paid"]) as subscriber,
    ):
        paid = hang.begins(hub)
        with kept_frozen(int((hub.data_dir / "kafka" / "broker.pid").read_text())):
            assert stopped_within(hub) < LIMIT_S

        hang.go_on.set()
        hub.start()
        assert subscriber.wait(lambda got: paid in [one.data["payment_id"] for one in got], 60)


def test_with_a_hanging_subscriber_a_hanging_poller_and_kafka_away(
    tmp_path: Path, root: Path, broker: EmbeddedBroker, hang: Hang
) -> None:
    with (
        live_hub(tmp_path, root, kafka=broker.address) as hub,
        hub.subscriber("E08000025", hang.answer, types=["licensing.fee.paid"]) as subscriber,
    ):
        paid = hang.begins(hub)
        broker.pause()
        assert until(lambda: hub.client.get("/v1/status")["kafka"] == "away")
        assert stopped_within(hub) < LIMIT_S

        broker.resume()
        hang.go_on.set()
        hub.start()
        assert subscriber.wait(lambda got: paid in [one.data["payment_id"] for one in got], 60)
