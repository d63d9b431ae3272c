"""Delivery state: what waits is kept in Kafka, what was missed is caught up, what is over is gone."""

from __future__ import annotations

import threading
from pathlib import Path

from hub.delivery.receiver import Received
from hub.stream.pending import read_standings
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


def test_every_subscription_gets_what_follows_its_201_however_soon(hub: LiveHub) -> None:
    pay = hub.simulators["westminster-pay"]
    for number in range(5):
        with hub.subscriber("E09000033", types=["licensing.fee.paid"]) as subscriber:
            paid = pay.paid_payment(f"PREM/2026/soon-{number}", 100)
            assert subscriber.wait(lambda got, p=paid: p in [one.data["payment_id"] for one in got], 30)


def _waiting(hub: LiveHub) -> int:
    standings = read_standings(hub.client_kafka, range(4)).values()
    return sum(len(one.fresh) + len(one.tried) for one in standings)
