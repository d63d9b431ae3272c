"""Delivery state: what waits is kept in Kafka, what was missed is caught up, what is over is gone."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from hub.delivery.receiver import Received
from hub.stream.reading import read_all, read_since
from hub.testing.live import LiveHub, live_hub, until


def test_deliveries_that_wait_outlive_a_kill_of_the_hub_and_keep_their_order(
    tmp_path: Path, root: Path
) -> None:
    closed = threading.Event()
    closed.set()

    def answer(_: Received) -> int:
        return 503 if closed.is_set() else 204

    with live_hub(tmp_path, root) as hub, hub.subscriber("E08000025", answer) as subscriber:
        paid = [hub.simulators["birmingham-pay"].paid_payment(f"PREM/2026/{n}", 100) for n in range(3)]
        assert until(lambda: subscriber.attempts >= 12)
        hub.kill()
        closed.clear()
        hub.start()
        by_payment = lambda: {  # noqa: E731
            each: [o.attributes["type"] for o in subscriber.received if o.data["payment_id"] == each]
            for each in paid
        }
        assert until(lambda: all(len(types) == 4 for types in by_payment().values()), 60), by_payment()
        ids = [one.id for one in subscriber.received]
        assert len(ids) == len(set(ids))
        assert until(lambda: _waiting(hub) == 0)


def test_what_came_before_the_workers_heard_of_a_subscription_is_caught_up(hub: LiveHub) -> None:
    """The smallest case of it: a range of the inbox by time and offset."""
    started = time.time()
    with hub.subscriber("E09000033", types=["licensing.fee.paid"]) as subscriber:
        hub.simulators["westminster-pay"].paid_payment("PREM/2026/catch-up", 100)
        assert subscriber.wait(bool, 30)
    kafka = hub.client_kafka
    ends = {
        ("inbox.E09000033", part): len(list(read_all(kafka, "inbox.E09000033", part))) * 3
        for part in range(4)
    }
    found = read_since(kafka, ends, started)
    assert subscriber.received[0].id in {dict(message.headers())["ce_id"].decode() for message in found}
    assert read_since(kafka, ends, time.time() + 60) == []


def test_every_subscription_gets_what_follows_its_201_however_soon(hub: LiveHub) -> None:
    pay = hub.simulators["westminster-pay"]
    for number in range(5):
        with hub.subscriber("E09000033", types=["licensing.fee.paid"]) as subscriber:
            paid = pay.paid_payment(f"PREM/2026/soon-{number}", 100)
            assert subscriber.wait(lambda got, p=paid: p in [one.data["payment_id"] for one in got], 30)


def _waiting(hub: LiveHub) -> int:
    newest: dict[bytes, object] = {}
    for part in range(4):
        for message in read_all(hub.client_kafka, "hub.deliveries", part):
            newest[message.key()] = message.value()
    return sum(value is not None for value in newest.values())
