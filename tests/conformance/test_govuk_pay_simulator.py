"""The simulator behaves as GOV.UK Pay is documented to, and as its published code does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from typing import Any

import httpx2
import pytest

from connectors.govuk_pay.config import Config
from connectors.govuk_pay.connector import PaymentSearch, RefundSearch
from connectors.govuk_pay.simulated.sender import TIME_LIMIT, WAITS, Message, Sender
from connectors.govuk_pay.simulator import PaySimulator
from hub.sdk import Http, Retry, Stop
from hub.sdk.clock import SteppedClock
from hub.testing.polling_contract import drain, subjects
from hub.testing.receiver import Receiver
from tests.conformance.govuk_pay import INSTANCE, SAMPLES, WEBHOOKS, needs_samples

_ASKED: dict[str, Any] = {
    "amount": 14500,
    "reference": "12345",
    "description": "Pay your council tax",
    "return_url": "https://your.service.example/completed",
}


@pytest.fixture
async def pay() -> AsyncIterator[PaySimulator]:
    simulator = PaySimulator(SteppedClock(), seed=1)
    async with simulator.serve():
        yield simulator


@pytest.fixture
async def api(pay: PaySimulator) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {pay.api_key}"}
    async with httpx2.AsyncClient(base_url=pay.url, headers=headers) as client:
        yield client


def poller(pay: PaySimulator, **settings: Any) -> PaymentSearch:
    return PaymentSearch(INSTANCE, config_of(pay, **settings), pay.clock)


def config_of(pay: PaySimulator, **settings: Any) -> Config:
    return Config(_env_prefix="HUB_TEST_", **pay.config(), **settings)


async def refusal(api: httpx2.AsyncClient, path: str, body: Any) -> tuple[int, str, str]:
    answer = await api.post(path, content=body if isinstance(body, bytes) else json.dumps(body))
    told = answer.json()
    return answer.status_code, told["code"], told.get("field") or told.get("header") or ""


async def test_a_payment_is_created_as_documented(api: httpx2.AsyncClient) -> None:
    answer = await api.post("/v1/payments", json=_ASKED | {"metadata": {"ledger_code": "AB100", "n": 200}})
    assert answer.status_code == 201
    told = answer.json()
    assert told["state"] == {"status": "created", "finished": False}
    assert told["refund_summary"] == {"status": "pending", "amount_available": 14500, "amount_submitted": 0}
    assert {"self", "events", "refunds", "cancel", "next_url"} == set(told["_links"])
    assert len(told["payment_id"]) == 26


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"amount": None}, 400, "P0101", "amount"),
        ({"return_url": None}, 400, "P0101", "return_url"),
        ({"colour": "red"}, 400, "P0104", "colour"),
        ({"reference": "4242424242424242"}, 400, "P0105", "reference"),
        ({"amount": 10_000_001}, 422, "P0102", "amount"),
        ({"amount": "145"}, 422, "P0102", "amount"),
        ({"reference": "x" * 256}, 422, "P0102", "reference"),
        ({"language": "fr"}, 422, "P0102", "language"),
        ({"metadata": {}}, 422, "P0102", "metadata"),
        ({"metadata": {"k" * 31: "v"}}, 422, "P0102", "metadata"),
    ],
)
async def test_a_bad_create_is_refused_in_pays_words(
    api: httpx2.AsyncClient, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    assert await refusal(api, "/v1/payments", _ASKED | change) == (status, code, field)


async def test_what_is_not_json_and_what_is_not_allowed_are_told_apart(
    api: httpx2.AsyncClient, pay: PaySimulator
) -> None:
    assert await refusal(api, "/v1/payments", b"{") == (400, "P0197", "")
    answer = await api.get("/v1/payments", headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401
    assert "P0" not in answer.text


async def test_an_idempotency_key_counts_for_recurring_payments_alone(api: httpx2.AsyncClient) -> None:
    recurring = {k: v for k, v in _ASKED.items() if k != "return_url"} | {"authorisation_mode": "agreement"}
    key = {"Idempotency-Key": "once-1"}
    first, again = [await api.post("/v1/payments", json=recurring, headers=key) for _ in "12"]
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["payment_id"] == again.json()["payment_id"]
    other = await api.post("/v1/payments", json=recurring | {"amount": 1}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "P0191")
    bad = await api.post("/v1/payments", json=recurring, headers={"Idempotency-Key": "not/allowed"})
    assert (bad.status_code, bad.json()["code"]) == (422, "P0102")
    web = [await api.post("/v1/payments", json=_ASKED, headers=key) for _ in "12"]
    assert web[0].json()["payment_id"] != web[1].json()["payment_id"]


async def test_search_lags_behind_while_a_single_read_does_not(
    api: httpx2.AsyncClient, pay: PaySimulator
) -> None:
    pay.search_lag = timedelta(seconds=30)
    payment_id = pay.paid_payment("LAG-1", 100)
    assert (await api.get(f"/v1/payments/{payment_id}")).json()["state"]["status"] == "success"
    assert (await api.get("/v1/payments")).json()["total"] == 0
    pay.clock.advance(31)  # type: ignore[attr-defined]
    assert (await api.get("/v1/payments")).json()["results"][0]["payment_id"] == payment_id


async def test_pages_have_no_neighbours_at_the_ends_and_none_is_past_the_last(
    api: httpx2.AsyncClient, pay: PaySimulator
) -> None:
    pay.populate(5)
    first, last, past = [
        await api.get("/v1/payments", params={"page": page, "display_size": 2}) for page in (1, 3, 4)
    ]
    assert "prev_page" not in first.json()["_links"] and "next_page" in first.json()["_links"]
    assert "next_page" not in last.json()["_links"] and len(last.json()["results"]) == 1
    assert (past.status_code, past.json()["code"]) == (404, "P0402")
    assert (await api.get("/v1/refunds", params={"page": 9})).json()["code"] == "P1100"


async def test_bad_search_parameters_are_named(api: httpx2.AsyncClient) -> None:
    answer = await api.get(
        "/v1/payments", params={"from_date": "yesterday", "page": "0", "display_size": 501}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "P0401")
    assert answer.json()["description"].startswith("Invalid parameters: from_date, page, display_size.")


async def test_from_date_is_inclusive_and_to_date_is_not(api: httpx2.AsyncClient, pay: PaySimulator) -> None:
    pay.create_payment("EDGE", 100)
    at = f"{pay.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    after = f"{pay.clock.now() + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
    assert (await api.get("/v1/payments", params={"from_date": at, "to_date": after})).json()["total"] == 1
    assert (await api.get("/v1/payments", params={"to_date": at})).json()["total"] == 0


async def test_refunds_lock_optimistically_and_refuse_what_is_not_there(
    api: httpx2.AsyncClient, pay: PaySimulator
) -> None:
    unpaid, paid = pay.create_payment("R-0", 1000), pay.paid_payment("R-1", 1000)
    path = f"/v1/payments/{paid}/refunds"
    assert (await refusal(api, path, {"amount": 10, "refund_amount_available": 999}))[:2] == (412, "P0604")
    assert (await refusal(api, path, {"amount": 0}))[:2] == (422, "P0602")
    assert (await refusal(api, path, {}))[:2] == (400, "P0601")
    assert (await refusal(api, f"/v1/payments/{unpaid}/refunds", {"amount": 10}))[:2] == (400, "P0603")
    answer = await api.post(path, json={"amount": 400, "refund_amount_available": 1000})
    assert (answer.status_code, answer.json()["status"]) == (202, "submitted")
    one = await api.get(f"{path}/{answer.json()['refund_id']}")
    assert one.json()["status"] == "success"
    assert len((await api.get(path)).json()["_embedded"]["refunds"]) == 1


async def test_cancel_and_capture_say_too_late_and_not_yet(
    api: httpx2.AsyncClient, pay: PaySimulator
) -> None:
    delayed, done = pay.create_payment("C-1", 100, delayed_capture=True), pay.paid_payment("C-2", 100)
    assert (await refusal(api, f"/v1/payments/{delayed}/capture", b""))[:2] == (400, "P1001")
    pay.pay(delayed)
    assert "capture" in (await api.get(f"/v1/payments/{delayed}")).json()["_links"]
    assert (await api.post(f"/v1/payments/{delayed}/capture")).status_code == 204
    assert (await refusal(api, f"/v1/payments/{done}/capture", b""))[:2] == (409, "P1003")
    assert (await refusal(api, f"/v1/payments/{done}/cancel", b""))[:2] == (400, "P0501")
    assert (await refusal(api, f"/v1/payments/{'z' * 26}/cancel", b""))[:2] == (404, "P0500")
    open_one = pay.create_payment("C-3", 100)
    assert (await api.post(f"/v1/payments/{open_one}/cancel")).status_code == 204
    assert (await api.get(f"/v1/payments/{open_one}")).json()["state"]["code"] == "P0040"
    states = [
        event["state"]["status"] for event in (await api.get(f"/v1/payments/{done}/events")).json()["events"]
    ]
    assert states == ["created", "started", "submitted", "success"]


def test_webhooks_word_states_as_the_ledger_does_and_name_no_refund() -> None:
    pay = PaySimulator(SteppedClock())
    pay.produce()
    told = {message.event_type: json.loads(message.body) for message in pay.messages}
    assert {message["resource_type"] for message in told.values()} == {"PAYMENT"}
    assert told["card_payment_failed"]["resource"]["state"]["status"] == "declined"
    assert told["card_payment_expired"]["resource"]["state"]["status"] == "timedout"
    refunded = told["card_payment_refunded"]
    assert refunded["resource_id"] == refunded["resource"]["payment_id"]
    assert "refund_id" not in json.dumps(refunded)
    for message in told.values():
        assert not {"_links", "provider_id", "authorisation_mode"} & set(message["resource"])
        assert None not in message["resource"].values()


@needs_samples
def test_the_retry_schedule_is_the_published_one() -> None:
    schedule = json.loads((SAMPLES / "vectors" / "webhook_retry_schedule.json").read_text())
    assert list(WAITS) == schedule["delays_after_failed_attempt_seconds"]
    assert schedule["request_timeout_seconds"] == TIME_LIMIT
    assert schedule["max_attempts"] == len(WAITS) + 1


async def test_a_webhook_is_tried_six_times_with_the_same_bytes_and_signature() -> None:
    clock, receiver = SteppedClock(), Receiver(lambda _: 302)
    sender, message = Sender(clock, "secret"), Message("m", "card_payment_captured", b'{"a": 1}')
    with receiver.running() as url:
        await sender.send(url, message)
        await sender.close()
    times = [at for at, _ in message.attempts]
    assert [(b - a).total_seconds() for a, b in pairwise(times)] == list(WAITS)
    assert message.status == "FAILED"
    assert len({(r.body, r.headers["pay-signature"]) for r in receiver.requests}) == 1


async def test_a_webhook_that_fails_twice_arrives_at_the_third_attempt() -> None:
    receiver = Receiver(lambda number: 500 if number < 3 else 204)
    sender, message = Sender(SteppedClock(), "secret"), Message("m", "card_payment_captured", b"{}")
    with receiver.running() as url:
        await sender.send(url, message)
        await sender.close()
    assert [status for _, status in message.attempts] == [500, 500, 204]
    assert message.status == "SUCCESSFUL"


@pytest.mark.parametrize("day", ["webhooks twice", "webhooks out of order", "webhooks lost"])
def test_bad_days_of_webhooks_still_give_each_fact_once(day: str) -> None:
    pay, receiver = PaySimulator(SteppedClock(), seed=3), Receiver()
    with receiver.running() as url, pay.running():
        pay.webhook_url = url
        pay.have(day)
        pay.produce()
        if day == "webhooks lost":
            # A loss has no end to wait for; that none is on its way is said by the messages themselves.
            assert {message.status for message in pay.messages} == {"WILL_NOT_SEND"}
        else:
            receiver.wait_for(len(pay.messages) + (day == "webhooks twice") * len(pay.messages))
    keys = {fact.key for request in receiver.requests for fact in WEBHOOKS.translate(request.body)}
    assert len(keys) == (0 if day == "webhooks lost" else len(pay.messages))


async def test_the_poller_finds_what_no_webhook_told(pay: PaySimulator) -> None:
    pay.have("webhooks lost")
    pay.produce()
    pay.clock.advance(60)  # type: ignore[attr-defined]
    source = poller(pay)
    items, _ = await drain(source, None)
    await source.close()
    assert subjects(source, items) == set(pay.ledger.payments)


async def test_payments_that_the_index_learns_of_between_two_pages_are_found_by_the_next_round(
    pay: PaySimulator,
) -> None:
    pay.search_lag = timedelta(seconds=30)
    made = pay.populate(5)
    pay.clock.advance(60)  # type: ignore[attr-defined]
    made |= pay.populate(4)
    pay.clock.advance(5)  # type: ignore[attr-defined]
    source = poller(pay, page_size=2)
    first = await source.fetch(None)
    pay.clock.advance(40)  # type: ignore[attr-defined]  # the window is closed, and yet it fills up
    rest, cursor = await drain(source, first.next)
    later, _ = await drain(source, cursor)
    await source.close()
    assert subjects(source, [*first.items, *rest, *later]) == made
    assert later, "the overlap is what found them"


async def test_what_did_not_change_is_not_passed_on_again_and_what_did_is(pay: PaySimulator) -> None:
    pay.populate(3)
    payment_id = pay.paid_payment("CHANGES", 900)
    pay.clock.advance(60)  # type: ignore[attr-defined]
    source = poller(pay)
    _, cursor = await drain(source, None)
    pay.clock.advance(60)  # type: ignore[attr-defined]
    again, cursor = await drain(source, cursor)
    pay.refund(payment_id)
    pay.clock.advance(60)  # type: ignore[attr-defined]
    changed, _ = await drain(source, cursor)
    await source.close()
    assert again == []
    assert [item["payment_id"] for item in changed] == [payment_id]


async def test_a_refund_that_fails_ten_days_after_it_was_made_is_told(pay: PaySimulator) -> None:
    source = RefundSearch(INSTANCE, config_of(pay, refund_overlap_hours=24 * 10), pay.clock)
    refund = pay.refund(pay.paid_payment("SLOW", 900), outcome="submitted")
    cursor, told = None, []
    for day in range(1, 12):
        pay.clock.advance(86_400)  # type: ignore[attr-defined]
        if day == 10:
            pay.settle_refund(refund, "error")
            pay.clock.advance(60)  # type: ignore[attr-defined]
        items, cursor = await drain(source, cursor)
        told += [fact.data.type for item in items for fact in source.translate(json.dumps(item).encode())]
    await source.close()
    assert told == [f"payments.refund.{verb}" for verb in ("submitted", "submitted", "failed")]


async def test_the_shortest_overlap_finds_a_payment_that_is_cancelled_in_the_last_of_its_90_minutes(
    pay: PaySimulator,
) -> None:
    pay.search_lag = timedelta(minutes=10)
    source = poller(pay, overlap_hours=Config.model_json_schema()["properties"]["overlap_hours"]["minimum"])
    payment_id, cursor, told = pay.create_payment("LATE", 900), None, []
    for minute in range(0, 120, 5):
        if minute == 90:
            pay.fail(payment_id, "P0030")
        items, cursor = await drain(source, cursor)
        told += [fact.data.type for item in items for fact in source.translate(json.dumps(item).encode())]
        pay.clock.advance(300)  # type: ignore[attr-defined]
    await source.close()
    assert told == [f"payments.payment.{verb}" for verb in ("created", "created", "failed")]


async def test_a_page_past_the_end_is_an_end_and_another_404_is_a_fault_of_the_settings(
    pay: PaySimulator,
) -> None:
    source = poller(pay, page_size=2)
    pay.populate(3)
    pay.clock.advance(60)  # type: ignore[attr-defined]
    page = await source.fetch(None)
    pay.ledger.payments.clear()
    assert await drain(source, page.next) == ([], page.next.replace('"page": 2', '"page": 0'))
    source.path = "/v2/payments"  # type: ignore[misc]
    with pytest.raises(Stop, match="check base_url"):
        await source.fetch(None)
    await source.close()


async def test_an_answer_of_another_shape_is_retried_and_an_odd_item_is_set_aside(pay: PaySimulator) -> None:
    answers: list[Any] = [[], {"results": 1}, {"results": [None, 5]}]
    transport = httpx2.MockTransport(lambda _: httpx2.Response(200, json=answers.pop(0)))
    source = poller(pay)
    source._http = Http("http://pay", transport=transport)
    for _ in range(2):
        with pytest.raises(Retry, match="not a page"):
            await source.fetch(None)
    page = await source.fetch(None)
    assert len(page.items) == 2 and not page.more
