"""GOV.UK Notify: its published samples and vectors, its two limits, and callbacks that it gives up on for good."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr, ValidationError

from connectors.govuk_notify.config import Config
from connectors.govuk_notify.connector import Messages, Receipts, Texts
from connectors.govuk_notify.mapping import words
from connectors.govuk_notify.simulator import ENDS, SECRET, SERVICE, SMOKE, TOKEN, NotifySimulator
from hub.events.envelope import Event
from hub.events.generated.notifications import EmailRequested, MessageDelivered, MessageFailed
from hub.sdk import Fact, Reject, Request, RequestJwt, Retry, Stop
from hub.sdk.clock import SteppedClock
from hub.sdk.connector import Instance
from hub.sdk.facts import to_event
from hub.testing.live import until
from hub.testing.receiver import Receiver

OWN = Path(__file__).parents[2] / "connectors" / "govuk_notify" / "fixtures"
SAMPLES = Path(__file__).parents[3] / "shared" / "fixtures" / "govuk_notify"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no published samples beside the project")

INSTANCE = Instance("birmingham-notify", "govuk_notify", "E08000025")
REQUEST = "0b1c2d3e-4f50-5172-8394-a5b6c7d8e9f0"
CASE = "7a6b5c4d-3e2f-5a1b-9c8d-7e6f5a4b3c2d"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def config(simulator: NotifySimulator, **more: Any) -> Config:
    return Config(_env_prefix="HUB_TEST_NOTIFY_", **{**simulator.config(), **more})  # type: ignore[call-arg]


def made(kind: type[Any], simulator: NotifySimulator | None = None, **more: Any) -> Any:
    simulator = simulator or NotifySimulator(SteppedClock(NOON))
    return kind(INSTANCE, config(simulator, **more), simulator.clock)


def asked(to: str = "asha.example@example.com", template: str = "licence-renewed", **filled: str) -> Event:
    data = EmailRequested(
        template=template, email_address=to, personalisation=filled or {"licence_reference": "P"}
    )
    return to_event(Fact(data, "PREM-1", NOON, to + template), "/routes/r", "E08000025", "cause")


@pytest.mark.parametrize("path", sorted(OWN.glob("*.json")), ids=lambda path: path.stem)
def test_every_fixture_becomes_events_or_names_the_field_at_fault(path: Path) -> None:
    kind = {"text": Texts, "sent": Messages}.get(path.stem.split("_")[0], Receipts)
    if path.stem.startswith("broken"):
        with pytest.raises(Reject) as caught:
            made(kind).translate(path.read_bytes())
        assert caught.value.field in ("status", "completed_at")
    else:
        assert made(kind).translate(path.read_bytes())


def test_a_receipt_belongs_to_the_case_of_the_event_that_asked_for_the_message() -> None:
    facts = made(Receipts).translate((OWN / "receipt_delivered.json").read_bytes())
    (event,) = [to_event(fact, INSTANCE.source, INSTANCE.party, "raw") for fact in facts]
    assert event.envelope.correlation_id == CASE
    assert event.data["request_id"] == REQUEST


def test_a_message_that_the_hub_did_not_send_makes_a_case_of_its_own() -> None:
    (fact,) = made(Receipts).translate((OWN / "receipt_of_another_way.json").read_bytes())
    assert isinstance(fact.data, MessageFailed)
    assert (fact.data.request_id, fact.correlation_id) == (None, "")


def test_whom_a_message_went_to_is_in_no_event_about_it() -> None:
    for path in OWN.glob("receipt_*.json"):
        to = json.loads(path.read_bytes())["to"]
        for fact in made(Receipts).translate(path.read_bytes()):
            assert to not in repr(fact)


@needs_samples
def test_every_published_callback_becomes_an_event() -> None:
    payloads = json.loads((SAMPLES / "callbacks" / "receipts.json").read_bytes())["payloads"]
    ends = [
        type(fact.data).__name__
        for payload in payloads
        for fact in made(Texts if "message" in payload else Receipts).translate(json.dumps(payload).encode())
    ]
    assert ends == ["MessageDelivered", "MessageFailed", "TextReceived"]


@needs_samples
def test_the_published_tokens_are_made_of_the_published_keys() -> None:
    for vector in json.loads((SAMPLES / "vectors" / "jwt.json").read_bytes()):
        settings = config(NotifySimulator(), api_key=vector["api_key"])
        assert settings.service_id == vector.get("iss", settings.service_id)
        auth = RequestJwt(settings.secret, {"iss": settings.service_id}, lambda v=vector: v["iat"])  # type: ignore[misc]
        token = auth.text(None).removeprefix("Bearer ")  # type: ignore[arg-type]
        key = OctKey.import_key(settings.secret.get_secret_value())
        ours, theirs = jwt.decode(token, key), jwt.decode(vector["token"], key)
        assert (ours.header, ours.claims) == (theirs.header, theirs.claims)


@needs_samples
def test_the_simulators_answers_have_the_fields_of_the_published_api() -> None:
    schemas = json.loads((SAMPLES / "spec" / "schema.json").read_bytes())["components"]["schemas"]
    simulator = NotifySimulator(SteppedClock(NOON))
    simulator.produce()
    for message in simulator.notifications:
        of = schemas["GetOneMessageResponse"]["oneOf"]
        (published,) = [one["properties"] for one in of if one["title"] == message["type"]]
        assert not message.keys() - published.keys()
        assert message["status"] in published["status"]["enum"]


@needs_samples
def test_every_refusal_that_is_published_is_told_in_its_own_words() -> None:
    told = 0
    for path in (SAMPLES / "spec").glob("POST_notification_*.json"):
        examples = json.loads(path.read_bytes())["post"]["responses"]["400"]["content"]["application/json"]
        for example in examples["examples"].values():
            said = words(400, json.dumps(example["value"]).encode())
            assert said.startswith(("BadRequestError", "ValidationError"))
            told += ": " in said
    assert told >= 18


@pytest.mark.parametrize("key", ["", "short", f"name-{SERVICE}", f"name-{SERVICE}-{SECRET}x"])
def test_a_key_of_another_form_is_refused_when_the_hub_starts(key: str) -> None:
    with pytest.raises(ValidationError, match="api_key") as caught:
        config(NotifySimulator(), api_key=key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(("before", "after"), [("x", ""), ("", "0"), ("", "\n")])
def test_a_template_id_with_something_around_it_is_refused_when_the_hub_starts(
    before: str, after: str
) -> None:
    with pytest.raises(ValidationError, match="templates"):
        config(NotifySimulator(), templates={"licence-renewed": f"{before}{SERVICE}{after}"})


async def test_the_limit_of_a_minute_is_tried_again_soon_and_that_of_a_day_after_midnight() -> None:
    simulator = NotifySimulator(SteppedClock(NOON))
    async with simulator.serve():
        sink = made(Messages, simulator)
        simulator.faults = {"429": 1.0}
        with pytest.raises(Retry) as minute:
            await sink.deliver(asked(), "k")
        simulator.have("limit of the day reached")
        with pytest.raises(Retry) as day:
            await sink.deliver(asked(), "k")
        await sink.close()
    assert (minute.value.after, day.value.after) == (None, 12 * 3600)
    assert "RateLimitError" in minute.value.reason


async def test_a_message_whose_answer_was_lost_is_found_and_not_sent_again() -> None:
    simulator = NotifySimulator(SteppedClock(NOON))
    async with simulator.serve():
        sink = made(Messages, simulator)
        assert await sink.find(asked(), "k") is None
        simulator.faults = {"lost answer": 1.0}
        with pytest.raises(Retry):
            await sink.deliver(asked(), "k")
        simulator.have("a good day")
        found = await sink.find(asked(), "k")
        await sink.close()
    assert found is not None
    assert [one["id"] for one in simulator.notifications] == [found.reference]


async def test_a_clock_that_is_wrong_halts_the_instance_and_says_why() -> None:
    simulator = NotifySimulator(SteppedClock(NOON))
    async with simulator.serve():
        sink = made(Messages, simulator)
        sink.clock = SteppedClock(NOON + timedelta(seconds=31))
        with pytest.raises(Stop, match="system clock must be accurate"):
            await sink.deliver(asked(), "k")
        await sink.close()


async def test_a_refusal_says_why_and_nothing_of_what_was_sent() -> None:
    simulator = NotifySimulator(SteppedClock(NOON))
    async with simulator.serve():
        sink = made(Messages, simulator)
        for event, why in (
            (asked("asha at example"), "email_address Not a valid email address"),
            (asked(other="Asha"), "Missing personalisation: licence_reference"),
            (asked(template="unknown"), "no template of that name"),
        ):
            with pytest.raises(Reject, match=why) as caught:
                await sink.deliver(event, "k")
            assert "asha" not in caught.value.reason.lower()
        await sink.close()


def test_words_that_nobody_knows_are_not_passed_on() -> None:
    told = {"errors": [{"error": "ValidationError", "message": "personalisation Asha is not of type object"}]}
    assert words(400, json.dumps(told).encode()) == "ValidationError"
    assert words(500, b"<html>") == words(400, b"[]") == words(400, b'{"errors": []}') == ""


def test_test_addresses_end_as_notify_says_and_smoke_addresses_leave_no_trace() -> None:
    simulator = NotifySimulator(SteppedClock(NOON))
    template = simulator.config()["templates"]["licence-renewed"]
    for to in [*ENDS, *SMOKE, "asha.example@example.com"]:
        simulator._accept("email" if "@" in to else "sms", {"template_id": template}, to)
    assert [one["status"] for one in simulator.notifications] == [*ENDS.values(), "delivered"]


@pytest.mark.parametrize(("status", "calls"), [(503, 6), (429, 6), (401, 1), (200, 1)])
def test_callbacks_are_tried_again_after_5xx_and_429_alone(status: int, calls: int) -> None:
    simulator = NotifySimulator(SteppedClock(NOON))
    receiver = Receiver(lambda _: status)
    with receiver.running() as url, simulator.running():
        simulator.webhook_url = url
        simulator.receive_text("447700900123", "STOP")
        receiver.wait_for(calls)
        assert until(lambda: len(simulator.callbacks) >= calls)
    assert [told for _, told in simulator.callbacks] == [status] * calls


def test_a_token_that_only_one_side_has_changed_loses_no_receipt() -> None:
    source = made(Receipts, previous_callback_token=SecretStr("the token of last year"))
    for token in (TOKEN, "the token of last year"):
        source.verify(Request({"authorization": f"Bearer {token}"}, b"{}"))
    for status in (401, 408):
        answer = source.refusal(Request({}, b"{}"), status, None)
        assert answer is not None
        assert answer.status == 503
    assert source.refusal(Request({}, b"{}"), 422, None) is None


def test_without_a_token_no_callback_is_taken() -> None:
    assert not made(Receipts, callback_token=None).used
    assert made(Messages, callback_token=None).used


def test_sent_to_another_country_is_as_far_as_is_known_delivered() -> None:
    told = json.loads((OWN / "receipt_delivered.json").read_bytes()) | {"status": "sent"}
    (fact,) = made(Receipts).translate(json.dumps(told).encode())
    assert isinstance(fact.data, MessageDelivered)
