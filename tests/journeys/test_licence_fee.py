"""A citizen's payment reaches the right council: what a subscriber may rely on, on a running hub."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from contextlib import suppress

import pytest

from hub.delivery.receiver import Received
from hub.gateway.client import ClientError
from hub.testing.live import LiveHub, until

BIRMINGHAM, WESTMINSTER = "E08000025", "E09000033"


def test_a_licence_fee_reaches_the_council_that_was_paid_and_no_other(hub: LiveHub) -> None:
    fees = {"types": ["licensing.fee.paid"]}
    with hub.subscriber(BIRMINGHAM, **fees) as birmingham, hub.subscriber(WESTMINSTER, **fees) as westminster:
        paid = hub.simulators["birmingham-pay"].paid_payment(
            "TAXI/2026/1", 12_500, metadata={"licence_type": "taxi-driver", "ledger_code": "TX1"}
        )
        other = hub.simulators["westminster-pay"].paid_payment("PREM/2026/2", 19_000)
        assert birmingham.wait(lambda got: len(got) == 1, 30)
        assert westminster.wait(lambda got: len(got) == 1, 30)
        (fee,) = birmingham.received
        assert fee.data["payment_id"] == paid
        assert (fee.data["amount"], fee.data["currency"]) == (12_500, "GBP")
        assert (fee.data["licence_reference"], fee.data["licence_type"]) == ("TAXI/2026/1", "taxi-driver")
        assert fee.attributes["party"] == fee.data["council"] == BIRMINGHAM
        assert westminster.received[0].data["payment_id"] == other


def test_what_is_not_a_licence_fee_is_not_told_as_one(hub: LiveHub) -> None:
    with hub.subscriber(BIRMINGHAM) as subscriber:
        paid = hub.simulators["birmingham-pay"].paid_payment("COUNCIL-TAX-1", 99_000)
        assert subscriber.wait(
            lambda got: any(one.attributes["type"].endswith("captured") for one in got), 30
        )
        captured = next(one.id for one in subscriber.received if one.attributes["type"].endswith("captured"))
        assert until(lambda: _states(hub, captured) == {"delivered"})
        assert hub.client.get("/v1/events", subject=paid)["items"], "the journal knows the case"
        # What is told as a fee has the reference for its subject.
        assert hub.client.get("/v1/events", subject="COUNCIL-TAX-1")["items"] == []
        assert not [one for one in subscriber.received if one.attributes["type"] == "licensing.fee.paid"]


@pytest.mark.parametrize("mode", ["structured", "binary"])
def test_events_of_a_payment_come_in_order_once_and_signed(hub: LiveHub, mode: str) -> None:
    pay = hub.simulators["birmingham-pay"]
    with hub.subscriber(BIRMINGHAM, types=["payments.payment.*"], mode=mode) as subscriber:
        payments = [pay.paid_payment(f"ORDER-{number}", 1_000) for number in range(5)]
        wanted = {"payments.payment.succeeded", "payments.payment.captured"}
        mine = lambda got: [one for one in got if one.data["payment_id"] in payments]  # noqa: E731
        done = lambda got: all(  # noqa: E731
            wanted <= {one.attributes["type"] for one in mine(got) if one.data["payment_id"] == each}
            for each in payments
        )
        assert subscriber.wait(done, 30)
        assert subscriber.refused == 0
        ids = [one.id for one in subscriber.received]
        assert len(ids) == len(set(ids))
        for one in subscriber.received:
            assert one.id == one.attributes["id"]


def test_a_webhook_that_never_came_is_found_by_asking(hub: LiveHub) -> None:
    pay = hub.simulators["westminster-pay"]
    with hub.subscriber(WESTMINSTER, types=["licensing.fee.paid"]) as subscriber:
        pay.have("webhooks lost")
        try:
            lost = pay.paid_payment("PREM/2026/lost", 19_000)
        finally:
            pay.have("a good day")
        assert subscriber.wait(lambda got: lost in [one.data["payment_id"] for one in got], 30)


def test_webhook_twice_and_poller_too_are_one_event(hub: LiveHub) -> None:
    pay = hub.simulators["westminster-pay"]
    with hub.subscriber(WESTMINSTER) as subscriber:
        pay.have("webhooks twice")
        try:
            paid = pay.paid_payment("PREM/2026/twice", 19_000)
        finally:
            pay.have("a good day")
        about = lambda: [one for one in subscriber.received if one.data["payment_id"] == paid]  # noqa: E731
        assert until(lambda: len({one.attributes["type"] for one in about()}) == 4)  # created only by asking
        # Both webhooks twice, and the poller: five reports of two facts more than needed.
        assert until(lambda: _outcomes(hub, paid)["duplicate"] >= 4)
        assert len(about()) == 4


def test_a_failing_subject_holds_up_no_other_and_is_delivered_in_order(hub: LiveHub) -> None:
    failing = threading.Event()
    failing.set()
    stuck: list[str] = []

    def answer(one: Received) -> int:
        return 500 if failing.is_set() and one.data["payment_id"] in stuck else 204

    pay = hub.simulators["birmingham-pay"]
    with hub.subscriber(BIRMINGHAM, answer, types=["payments.payment.*"]) as subscriber:
        stuck.append(pay.create_payment("STUCK", 500))
        pay.pay(stuck[0])
        others = [pay.paid_payment(f"FREE-{number}", 500) for number in range(10)]
        heard = lambda: defaultdict(  # noqa: E731
            list,
            {
                each: [o.attributes["type"] for o in subscriber.received if o.data["payment_id"] == each]
                for each in [*stuck, *others]
            },
        )
        assert until(lambda: all("payments.payment.captured" in heard()[each] for each in others))
        assert heard()[stuck[0]] == []
        failing.clear()
        assert until(lambda: len(heard()[stuck[0]]) == 3)


def test_410_gone_ends_the_subscription(hub: LiveHub) -> None:
    with hub.subscriber(BIRMINGHAM, lambda _: 410) as subscriber:
        hub.simulators["birmingham-pay"].paid_payment("GONE", 500)
        mine = lambda: next(  # noqa: E731
            one
            for one in hub.client.get("/v1/subscriptions")["subscriptions"]
            if one["id"] == subscriber.subscription_id
        )
        assert until(lambda: mine()["status"] == "ended")
        assert "410" in mine()["ended_reason"]


def test_a_case_can_be_traced_from_raw_record_to_delivery(hub: LiveHub) -> None:
    with hub.subscriber(BIRMINGHAM, types=["licensing.fee.paid"]) as subscriber:
        paid = hub.simulators["birmingham-pay"].paid_payment("PREM/2026/trace", 19_000)
        assert subscriber.wait(bool, 30)
        delivered = subscriber.received[0].id
        assert until(lambda: _states(hub, delivered) == {"delivered"})
        roots = hub.client.get(f"/v1/cases/{paid}")["roots"]
        chains = [chain for root in roots for chain in _chains(root) if delivered in chain]
        assert chains
        assert all(root["kind"] == "raw" for root in roots)


def test_a_broken_event_is_a_dead_letter_that_names_the_field_and_can_be_redriven(hub: LiveHub) -> None:
    pay = hub.simulators["birmingham-pay"]
    payment = pay.create_payment("BROKEN", 700)
    message = json.loads(pay.message(payment, "card_payment_captured").body)
    del message["resource"]["amount"]
    raw_id = hub.post("birmingham-pay", json.dumps(message).encode()).headers["hub-record-id"]
    failures = lambda: hub.client.get("/v1/failures/of", event=raw_id)["failures"]  # noqa: E731
    assert until(lambda: len(failures()) == 1)
    assert failures()[0]["stage"] == "translate"
    assert failures()[0]["field"] == "resource.amount"
    done = hub.client.post("/v1/failures/redrive", {"ids": [failures()[0]["id"]], "dry_run": False})
    assert done["chosen"] == 1
    assert until(lambda: sorted(f["status"] for f in failures()) == ["open", "redriven"])  # it failed again
    again = {"ids": [done["first"][0]["id"]], "dry_run": False}
    assert hub.client.post("/v1/failures/redrive", again)["chosen"] == 0


def _states(hub: LiveHub, any_id: str) -> set[str]:
    """The states of the routed events about a subject, or of one event; nothing while it is not known."""
    page = hub.client.get("/v1/events", subject=any_id)["items"]
    routed = {one["state"] for one in page if one["route"]}
    if not routed:
        with suppress(ClientError):
            return {hub.client.get(f"/v1/events/{any_id}")["event"]["state"]}
    return routed


def _outcomes(hub: LiveHub, subject: str) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for one in hub.client.get("/v1/events", subject=subject)["items"]:
        for step in hub.client.get(f"/v1/events/{one['id']}")["steps"]:
            found[step["outcome"]] += 1
    return found


def _chains(node: dict[str, object], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    here = (*above, str(node["id"]))
    children: list[dict[str, object]] = node["children"]  # type: ignore[assignment]
    return [chain for child in children for chain in _chains(child, here)] or [here]
