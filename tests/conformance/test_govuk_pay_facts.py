"""Webhook and poller tell the same facts of one payment, whatever its life was, and nothing breaks them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.govuk_pay.cards import holds_card_number
from connectors.govuk_pay.simulated.ledger import CARDS
from connectors.govuk_pay.simulator import PaySimulator
from hub.events.envelope import Event
from hub.sdk import Reject
from hub.sdk.clock import SteppedClock
from hub.sdk.connector import Source
from hub.sdk.facts import to_event
from tests.conformance.govuk_pay import OWN, PAYMENTS, REFUNDS, WEBHOOKS, load

_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=20,
)
_METADATA = st.dictionaries(
    st.text(min_size=1, max_size=30).filter(lambda text: not holds_card_number(text)),
    st.text(max_size=100).filter(lambda text: not holds_card_number(text))
    | st.integers(-999, 999)
    | st.booleans(),
    min_size=1,
    max_size=15,
)
_LIVES = (
    "pay",
    "pay late",
    "decline",
    "provider error",
    "expire",
    "leave",
    "cancel",
    "cancel late",
    "refund",
    "refund twice",
    "refund fails",
)


def events_of(source: Source[Any, Any], body: bytes) -> dict[str, Event]:
    facts = source.translate(body)
    return {e.envelope.id: e for fact in facts if (e := to_event(fact, "/s", "E08000025", "c"))}


def both_sides(life: str, **asked: Any) -> tuple[dict[str, Event], dict[str, Event], PaySimulator]:
    """What webhooks and what searches told, looked at after every step of a payment's life."""
    pay = PaySimulator(SteppedClock(), seed=1)
    payment_id = pay.create_payment("REF-1", 5000, delayed_capture=life.endswith("late"), **asked)
    searched: dict[str, Event] = {}

    def look() -> None:
        pay.clock.advance(1)  # type: ignore[attr-defined]  # it is a stepped one
        found = events_of(PAYMENTS, json.dumps(pay.ledger.payments[payment_id].shown()).encode())
        for key, event in found.items():
            searched.setdefault(key, event)

    look()
    for step in _steps(life):
        step(pay, payment_id)
        look()
    told: dict[str, Event] = {}
    for message in pay.messages:
        told |= events_of(WEBHOOKS, message.body)
    return told, searched, pay


def _steps(life: str) -> list[Any]:
    success, declined, broken = "4242424242424242", "4000000000000002", "4000000000000119"
    paid = lambda pay, key: pay.pay(key, success)  # noqa: E731 - a table of steps reads best so
    return {
        "pay": [paid],
        "pay late": [paid, lambda pay, key: pay.capture(key)],
        "decline": [lambda pay, key: pay.pay(key, declined)],
        "provider error": [lambda pay, key: pay.pay(key, broken)],
        "expire": [lambda pay, _: pay.clock.advance(90 * 60), lambda pay, key: pay.expire(key)],
        "leave": [lambda pay, key: pay.fail(key, "P0030")],
        "cancel": [lambda pay, key: pay.fail(key, "P0040")],
        "cancel late": [
            paid,
            lambda pay, _: pay.clock.advance(90 * 60),
            lambda pay, key: pay.fail(key, "P0040"),
        ],
        "refund": [paid, lambda pay, key: pay.refund(key)],
        "refund twice": [paid, lambda pay, key: pay.refund(key, 100), lambda pay, key: pay.refund(key, 300)],
        "refund fails": [paid, lambda pay, key: pay.refund(key, 100, outcome="error")],
    }[life]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(_LIVES), _METADATA, st.sampled_from(["a@example.com", None]))
def test_webhook_and_poller_give_the_same_events_of_one_payment(
    life: str, metadata: Any, email: str | None
) -> None:
    told, searched, _ = both_sides(life, metadata=metadata, **({"email": email} if email else {}))
    only_searched = {event.envelope.type for key, event in searched.items() if key not in told}
    only_told = {event.envelope.type for key, event in told.items() if key not in searched}
    by_search = {"payments.payment.created"}
    if life in ("leave", "cancel"):
        by_search.add("payments.payment.failed")  # no webhook says by whom
    assert only_searched == by_search
    assert only_told <= {"payments.payment.refunded"}, "no search says that a refund succeeded"
    for key in told.keys() & searched.keys():
        event = told[key]
        words = {"failure_message": None} if life == "cancel late" else {}
        assert event.data == searched[key].data | words
        assert event.envelope.subject == searched[key].envelope.subject
        assert event.envelope.correlation_id == searched[key].envelope.correlation_id
        assert event.envelope.time >= searched[key].envelope.time


def test_each_refund_that_succeeds_is_told_once_and_one_that_is_only_submitted_is_not() -> None:
    pay = PaySimulator(SteppedClock())
    payment_id = pay.paid_payment("REF-1", 5000)
    first, second = (pay.refund(payment_id, amount, outcome="submitted") for amount in (100, 300))
    searched = events_of(PAYMENTS, json.dumps(pay.ledger.payments[payment_id].shown()).encode())
    assert "payments.payment.refunded" not in {event.envelope.type for event in searched.values()}
    for refund in (first, second):
        pay.settle_refund(refund)
    told: dict[str, Event] = {}
    for message in pay.messages * 2:  # Pay sends a message again, as it is
        told |= events_of(WEBHOOKS, message.body)
    totals = [e.data["refunded_total"] for e in told.values() if e.envelope.type.endswith("refunded")]
    assert totals == [400, 400]


@pytest.mark.parametrize(
    ("life", "code"), [("leave", "P0030"), ("cancel", "P0040"), ("cancel late", "P0040")]
)
def test_who_cancelled_a_payment_is_told_as_it_was_and_not_as_the_ledger_words_it(
    life: str, code: str
) -> None:
    told, searched, _ = both_sides(life)
    failed = [event.data for event in (*told.values(), *searched.values()) if "failure_code" in event.data]
    assert {data["failure_code"] for data in failed} == {code}
    assert {data["state"] for data in failed} == {"cancelled" if code == "P0040" else "failed"}


@settings(max_examples=300, deadline=None)
@given(st.one_of(_JSON.map(lambda value: json.dumps(value).encode()), st.binary(max_size=200)))
def test_any_body_is_an_event_or_set_aside(body: bytes) -> None:
    for source in (WEBHOOKS, PAYMENTS, REFUNDS):
        with pytest.raises(Reject) as caught:
            source.translate(body)
        assert caught.value.field


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_value_in_any_field_is_an_event_or_set_aside_by_name(data: st.DataObject) -> None:
    message = load(OWN / data.draw(st.sampled_from(["webhook_captured.json", "webhook_refunded.json"])))
    node = data.draw(st.sampled_from([message, message["resource"], *_inner(message["resource"])]))
    node[data.draw(st.sampled_from(sorted(node)))] = data.draw(_JSON)
    try:
        assert WEBHOOKS.translate(json.dumps(message).encode())
    except Reject as reject:
        assert reject.field


def _inner(resource: dict[str, Any]) -> list[dict[str, Any]]:
    return [value for value in resource.values() if isinstance(value, dict) and value]


@pytest.mark.parametrize("number", sorted(CARDS))
@pytest.mark.parametrize("text", ["{}", "card {} please", "ref 12 {}", "{} 2026"])
def test_a_card_number_in_free_text_is_refused_by_field_and_not_repeated(number: str, text: str) -> None:
    grouped = " ".join(number[i : i + 4] for i in range(0, 16, 4))
    for written in (number, grouped, grouped.replace(" ", "-")):
        message = load(OWN / "webhook_captured.json")
        for field, value in (
            ("reference", text.format(written)),
            ("description", text.format(written)),
            ("metadata", {"note": text.format(written)}),
        ):
            body = json.dumps(message | {"resource": message["resource"] | {field: value}}).encode()
            with pytest.raises(Reject, match="looks like a card number") as caught:
                WEBHOOKS.translate(body)
            assert caught.value.field == f"resource.{field}"
            assert number[-4:] not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["LIC-2026-000417", "07700 900123", "4242424242424241", "1234567890123452", "E08000025"]
)
def test_ordinary_references_are_no_card_numbers(text: str) -> None:
    assert not holds_card_number(text)


def test_digits_holder_and_expiry_of_a_card_never_leave_the_mapping() -> None:
    for name in ("webhook_captured.json", "webhook_failed.json", "webhook_refunded.json"):
        for event in events_of(WEBHOOKS, (OWN / name).read_bytes()).values():
            told = json.dumps(event.data)
            assert not [hidden for hidden in ("4242", "Ashby", "11/30", "ZZ9", "Mill Lane") if hidden in told]


def test_a_misprinted_capture_time_is_passed_over() -> None:
    page = load(OWN / "search_payments.json")
    paid = next(item for item in page["results"] if item["state"]["status"] == "success")
    paid["settlement_summary"]["capture_submit_time"] = "2026-03-02T09:15:000Z"
    captured = [
        e for e in events_of(PAYMENTS, json.dumps(paid).encode()).values() if e.data.get("captured_on")
    ]
    assert [event.envelope.time.isoformat() for event in captured] == ["2026-03-02T09:14:07.120000+00:00"]


def test_metadata_of_any_kind_is_text_as_json_writes_it() -> None:
    (event,) = events_of(WEBHOOKS, (OWN / "webhook_captured.json").read_bytes()).values()
    assert event.data["metadata"] == {
        "licence_type": "premises",
        "ledger_code": "LIC-77",
        "renewal": "false",
        "term_years": "3",
    }
