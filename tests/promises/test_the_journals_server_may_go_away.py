"""The journal may be a PostgreSQL: frozen, gone or emptied it holds up no event, and it catches up by itself."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from hub.delivery.receiver import Receiver
from hub.gateway.client import ClientError
from hub.testing.live import LiveHub, live_hub, until
from tests.postgres import postgres


def test_events_go_on_whatever_becomes_of_it_and_all_of_them_are_found_in_the_end(
    tmp_path: Path, root: Path
) -> None:
    with (
        postgres() as server,
        live_hub(tmp_path, root, journal={"database": server.url}) as hub,
        hub.subscriber("E08000025", types=["licensing.fee.paid"]) as subscriber,
    ):
        paid = [pay(hub)]
        assert until(lambda: found(hub, paid))

        server.pause()
        paid += [pay(hub)]
        assert delivered(subscriber, paid)
        server.resume()
        assert until(lambda: found(hub, paid), 60)

        server.stop()
        paid += [pay(hub)]
        assert delivered(subscriber, paid)
        with pytest.raises(ClientError, match=r"the journal at postgresql://.* does not answer"):
            hub.client.get("/v1/events")
        assert hub.stop() == 0
        hub.start()
        paid += [pay(hub)]
        assert delivered(subscriber, paid), "by a hub that was started without it"
        server.start()
        assert until(lambda: found(hub, paid), 60)

        server.clear()
        paid += [pay(hub)]
        assert delivered(subscriber, paid)
        assert until(lambda: found(hub, paid), 60), "made again from Kafka"


def pay(hub: LiveHub) -> str:
    return hub.simulators["birmingham-pay"].paid_payment("PREM/2026/1", 100)


def delivered(subscriber: Receiver, paid: list[str]) -> bool:
    return subscriber.wait(lambda got: {one.data["payment_id"] for one in got} == set(paid), 60)


def found(hub: LiveHub, paid: list[str]) -> bool:
    with suppress(ClientError):
        return all(hub.client.get("/v1/events", subject=payment)["items"] for payment in paid)
    return False
