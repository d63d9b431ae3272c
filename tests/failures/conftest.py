"""A hub that fails on purpose: a route of its own, whose party is what the payment says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.testing.live import LiveHub, live_hub, until

ROUTE = '''"""To the party that the payment names; to nobody, where it names none of ours."""

from hub.routes import Route, col

named = Route(name="named", on=("payments.payment.captured",), to=col("metadata.team"))
'''


@pytest.fixture(scope="package")
def failing(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[LiveHub]:
    """A hub whose deliveries give up at once, and whose one route refuses what names no party."""
    folder = tmp_path_factory.mktemp("failing")
    (folder / "routes").mkdir()
    (folder / "routes" / "named.py").write_text(ROUTE)
    with live_hub(folder, root, delivery={"allow_local": True, "speed": 1e9}) as running:
        yield running


@pytest.fixture(scope="session")
def broken() -> Callable[..., str]:
    """Posts webhooks that cannot be understood, for want of an amount; the raw record's id."""

    def post(hub: LiveHub, reference: str = "BROKEN") -> str:
        message = captured(hub, reference)
        del message["resource"]["amount"]
        return str(hub.post("birmingham-pay", json.dumps(message).encode()).headers["hub-record-id"])

    return post


def captured(hub: LiveHub, reference: str, **metadata: str) -> dict[str, Any]:
    """What GOV.UK Pay says of a captured payment."""
    pay = hub.simulators["birmingham-pay"]
    payment = pay.create_payment(reference, 700, **({"metadata": metadata} if metadata else {}))
    found: dict[str, Any] = json.loads(pay.message(payment, "card_payment_captured").body)
    return found


@pytest.fixture(scope="session")
def misnamed() -> Callable[..., str]:
    """Posts genuine webhooks whose payments name no party; the payment's id."""

    def post(hub: LiveHub, reference: str = "MISNAMED", team: str = "nobody") -> str:
        message = captured(hub, reference, team=team)
        assert hub.post("birmingham-pay", json.dumps(message).encode()).status_code == 202
        return str(message["resource_id"])

    return post


@pytest.fixture(scope="session")
def failures() -> Callable[..., list[dict[str, Any]]]:
    """The dead letters of an event or raw record, or about a subject, once there are so many."""

    def found(hub: LiveHub, about: str, count: int = 1) -> list[dict[str, Any]]:
        def now() -> list[dict[str, Any]]:
            ids = [one["id"] for one in hub.client.get("/v1/events", subject=about)["items"]]
            return [
                letter
                for each in dict.fromkeys([about, *ids])
                for letter in hub.client.get("/v1/failures/of", event=each)["failures"]
            ]

        assert until(lambda: len(now()) >= count), now()
        return now()

    return found
