"""A hub that is told to stop has stopped within ten seconds, whatever hangs; and loses nothing by it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
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


def test_with_a_hanging_subscriber_a_hanging_poller_and_kafka_away(
    tmp_path: Path, root: Path, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUB_FAILPOINT", f"poll.commit:hang-after:5@{tmp_path / 'poller-hangs'}")
    hanging, go_on = threading.Event(), threading.Event()

    def hang(_: Received) -> int:
        hanging.set()
        go_on.wait(120)
        return 204

    with (
        live_hub(tmp_path, root, kafka=broker.address) as hub,
        hub.subscriber("E08000025", hang, types=["licensing.fee.paid"]) as subscriber,
    ):
        paid = hub.simulators["birmingham-pay"].paid_payment("PREM/2026/1", 100)
        assert hanging.wait(60)
        assert until((tmp_path / "poller-hangs").exists)
        assert stopped_within(hub) < LIMIT_S

        hub.start()
        assert until(lambda: hub.client.get("/v1/status")["status"] == "ready")
        broker.pause()
        assert until(lambda: hub.client.get("/v1/status")["kafka"] == "away")
        assert stopped_within(hub) < LIMIT_S

        broker.resume()
        go_on.set()
        hub.start()
        assert subscriber.wait(lambda got: paid in [one.data["payment_id"] for one in got], 60)
