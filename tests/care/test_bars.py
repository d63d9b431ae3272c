"""BaRS at the door and on the way out, against a partner that speaks it, on good days and bad."""

from __future__ import annotations

import json
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from connectors.care_messages.canonical import SERVICE_ID
from connectors.care_messages.samples import (
    COUNCIL,
    DESK,
    HOSPITAL,
    SERVICE_IDS,
    WARD,
    Conversation,
    resource,
)
from connectors.care_referrals.connector import BarsMessages, BarsPartner, Hl7Messages
from connectors.care_referrals.mapping import encoded, issues, request_headers
from connectors.care_referrals.simulator import CareSimulator
from hub.sdk import Landed, Refused, Reject, Request, Retry, Stop, Unauthorised
from hub.sdk.clock import SteppedClock
from tests.care.conftest import bars_event, event_of, hl7_event, made

THEATRE = "hl7:THEATRE|ST%20EBBA"


@pytest.fixture(scope="module")
def served() -> Iterator[CareSimulator]:
    simulator = CareSimulator(SteppedClock(), seed=7)
    with simulator.running():
        yield simulator


@pytest.fixture
def partner(served: CareSimulator) -> Iterator[CareSimulator]:
    yield served
    served.have("a good day")
    served.requests.clear()


def request(partner: CareSimulator, **headers: str) -> Request:
    told = {name.lower(): text for name, text in partner.sign(b"").items()}
    return Request({**told, **headers}, b"{}", "POST", "/$process-message")


def test_a_message_is_answered_200_and_its_repeat_409_duplicate_with_its_ids(partner: CareSimulator) -> None:
    source, asked = made(BarsMessages, partner), request(partner)
    source.verify(asked)
    for again, status, code in ((False, 200, "RESOURCE_CREATED"), (True, 409, "REC_CONFLICT")):
        answer = source.answer(asked, Landed("raw", again))
        assert (answer.status, issues(answer.body)[0]) == (status, code)
        assert answer.headers["content-type"] == "application/fhir+json"
        for name in ("x-request-id", "x-correlation-id"):
            assert answer.headers[name] == asked.headers[name]
    assert "duplicate" in issues(answer.body)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-request-id", ""),
        ("x-correlation-id", "not a uuid"),
        ("nhsd-target-identifier", "not base64"),
        ("nhsd-target-identifier", b64encode(b"[]").decode()),
    ],
)
def test_headers_that_bars_requires_are_asked_for_in_its_words(
    partner: CareSimulator, header: str, value: str
) -> None:
    source, asked = made(BarsMessages, partner), request(partner, **{header: value})
    with pytest.raises(Reject) as caught:
        source.verify(asked)
    assert caught.value.field.lower() == header
    refused = source.refusal(asked, 422, caught.value)
    assert (refused.status, issues(refused.body)[0]) == (400, "REC_BAD_REQUEST")


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer forged", "Basic simulated-proxy-token"])
def test_whoever_has_not_the_token_is_told_nothing(partner: CareSimulator, token: str) -> None:
    source, asked = made(BarsMessages, partner), request(partner, authorization=token)
    with pytest.raises(Unauthorised) as caught:
        source.verify(asked)
    assert source.refusal(asked, 401, caught.value).status == 401
    assert "simulated-proxy-token" not in str(caught.value)


def test_the_token_before_the_last_is_accepted_too(partner: CareSimulator) -> None:
    source = made(BarsMessages, partner, inbound_token="new", previous_inbound_token=partner.token)
    source.verify(request(partner))


async def test_metadata_says_what_is_taken(partner: CareSimulator) -> None:
    answer = await made(BarsMessages, partner).serve(request(partner))
    told = json.loads(answer.body)
    assert told["resourceType"] == "CapabilityStatement"
    assert told["rest"][0]["operation"][0]["name"] == "process-message"


async def test_a_whole_referral_ends_as_its_sender_meant_it(partner: CareSimulator) -> None:
    sink, talk = made(BarsPartner, partner), Conversation(partner.clock.now())
    for fixture, after_s in (("request_new", 0), ("request_update", 60), ("request_cancel", 90)):
        event = bars_event(partner, talk, fixture, after_s)
        assert await sink.deliver(event, event.envelope.id)
    held = partner.held[talk.correlation_id]
    assert (held.status, len(held.bundles)) == ("revoked", 3)
    assert held.bundles[0]["id"] == talk.bundle_id
    await sink.close()


@pytest.mark.parametrize("restarted", [False, True])
async def test_an_update_that_the_cancellation_overtook_changes_nothing(
    partner: CareSimulator, restarted: bool
) -> None:
    talk = Conversation(partner.clock.now())
    sink = made(BarsPartner, partner)
    late = bars_event(partner, talk, "request_update", 60)
    for fixture, after_s in (("request_new", 0), ("request_cancel", 90)):
        event = bars_event(partner, talk, fixture, after_s)
        await sink.deliver(event, event.envelope.id)
    if restarted:  # nothing is remembered: the receiver keeps the same rule
        await sink.close()
        sink = made(BarsPartner, partner)
        with pytest.raises(Reject, match=r"409.*conflict"):
            await sink.deliver(late, late.envelope.id)
    else:
        assert (await sink.deliver(late, late.envelope.id)).reference.startswith("overtaken")
    held = partner.held[talk.correlation_id]
    assert (held.status, len(held.bundles)) == ("revoked", 2)
    await sink.close()


async def test_a_lost_answer_is_repeated_byte_for_byte_and_the_duplicate_is_success(
    partner: CareSimulator,
) -> None:
    sink, talk = made(BarsPartner, partner), Conversation(partner.clock.now())
    event = bars_event(partner, talk, "request_new")
    await sink.deliver(bars_event(partner, Conversation(partner.clock.now()), "request_new"), "warm-up")
    partner.requests.clear()
    partner.have("answers lost")
    with pytest.raises(Retry):
        await sink.deliver(event, event.envelope.id)
    partner.have("a good day")
    await sink.close()
    sink = made(BarsPartner, partner)  # and another worker it may be
    assert (await sink.deliver(event, event.envelope.id)).reference == event.envelope.id
    sent = [one for one in partner.requests if one.path.endswith("process-message")]
    assert len(sent) == 2 and sent[0].body == sent[1].body
    for name in ("x-request-id", "x-correlation-id"):
        assert sent[0].headers[name] == sent[1].headers[name]
    assert sent[0].headers["x-correlation-id"] == talk.correlation_id
    assert partner.effects()[event.envelope.id] == 1
    await sink.close()


@pytest.mark.parametrize(
    ("day", "error"),
    [
        ("too many requests", Retry),
        ("receiver away", Retry),
        ("half answers", Retry),
        ("web pages", Retry),
        ("answers of another", Retry),
    ],
)
async def test_a_bad_day_is_worth_another_try(partner: CareSimulator, day: str, error: type) -> None:
    sink, talk = made(BarsPartner, partner), Conversation(partner.clock.now())
    partner.have(day)
    event = bars_event(partner, talk, "request_new")
    with pytest.raises(error):
        await sink.deliver(event, event.envelope.id)
    await sink.close()


async def test_a_token_that_ran_out_is_asked_for_again_within_the_delivery(partner: CareSimulator) -> None:
    sink, talk = made(BarsPartner, partner), Conversation(partner.clock.now())
    for fixture in ("request_new", "request_update"):
        event = bars_event(partner, talk, fixture, 5)
        await sink.deliver(event, event.envelope.id)
        partner.tokens.clear()
    assert len(partner.held[talk.correlation_id].bundles) == 2
    await sink.close()


async def test_a_key_that_the_proxy_does_not_know_halts_the_instance(partner: CareSimulator) -> None:
    sink, talk = made(BarsPartner, partner, private_key=OTHER_KEY), Conversation(partner.clock.now())
    event = bars_event(partner, talk, "request_new")
    with pytest.raises(Stop) as caught:
        await sink.deliver(event, event.envelope.id)
    assert "PRIVATE KEY" not in str(caught.value)
    await sink.close()


async def test_what_the_partner_refuses_is_told_by_its_code_and_without_its_prose(
    partner: CareSimulator,
) -> None:
    sink, talk = made(BarsPartner, partner), Conversation(partner.clock.now())
    event = bars_event(partner, talk, "request_cancel", 50)
    await sink.deliver(event, event.envelope.id)
    await sink.close()
    sink = made(BarsPartner, partner)
    late = bars_event(partner, talk, "request_new")
    with pytest.raises(Reject) as caught:
        await sink.deliver(late, late.envelope.id)
    assert "REC_CONFLICT conflict" in caught.value.reason and "simulated" not in caught.value.reason
    await sink.close()


def test_an_event_for_another_address_is_left_to_the_instance_that_has_it(partner: CareSimulator) -> None:
    sink, talk = made(BarsPartner, partner, addresses=[COUNCIL]), Conversation(partner.clock.now())
    assert sink.wants(bars_event(partner, talk, "request_new"))
    assert not sink.wants(bars_event(partner, talk, "response_accepted", 10))


async def test_an_hl7_referral_reaches_a_bars_partner_and_its_answer_names_the_wards_own_ids(
    partner: CareSimulator,
) -> None:
    talk = Conversation(partner.clock.now(), correlation_id="WARD REF/77^120")
    asked = hl7_event(partner, talk, "ref_i12")
    sink = made(BarsPartner, partner)
    await sink.deliver(asked, asked.envelope.id)
    await sink.close()
    (sent,) = [one for one in partner.requests if one.path.endswith("process-message")]
    system, _, service = COUNCIL.rpartition("|")
    target = json.loads(b64decode(sent.headers["nhsd-target-identifier"]))
    assert target == {"value": service, "system": system}
    header = resource(json.loads(sent.body), "MessageHeader")
    assert header["destination"][0]["endpoint"] == COUNCIL
    assert header["source"]["endpoint"] == f"{system}|{SERVICE_IDS[WARD]}"
    correlation_id = next(
        each for each, held in partner.held.items() if held.bundles[0]["id"] == asked.data["message_id"]
    )
    reply = partner.decide(correlation_id)
    source = made(BarsMessages, partner, "council")
    (fact,) = source.translate(reply.body, {"x-correlation-id": correlation_id})
    assert fact.data.conversation_id == asked.data["conversation_id"]
    assert fact.data.request_id == asked.data["message_id"]
    assert fact.data.recipient_address == asked.data["sender_address"]
    assert fact.data.sender_address == asked.data["recipient_address"]


async def test_a_referral_of_a_system_that_bars_does_not_know_is_set_aside(partner: CareSimulator) -> None:
    talk = Conversation(partner.clock.now())
    source = made(Hl7Messages, partner, "ward")
    asked = event_of(source, talk.hl7("ref_i12").replace(b"WARDDESK", b"THEATRE"))
    sink = made(BarsPartner, partner)
    with pytest.raises(Reject, match="service_ids") as caught:
        await sink.deliver(asked, asked.envelope.id)
    assert caught.value.field == "sender_address" and "THEATRE" not in caught.value.reason
    await sink.close()


@pytest.mark.parametrize(
    ("partners", "ids"),
    [
        ({WARD: "rxx"}, {DESK: "2000000302"}),
        ({HOSPITAL: "rxx"}, {WARD: "2000000403"}),
        ({WARD: "rxx", THEATRE: "rxx"}, {DESK: "2000000302", WARD: "2000000403", THEATRE: "2000000403"}),
    ],
    ids=["ours without one", "the partner's without one", "one for two of ours"],
)
def test_a_partner_that_speaks_bars_needs_a_service_id_for_each_hl7_address(
    partner: CareSimulator, partners: dict[str, str], ids: dict[str, str]
) -> None:
    told = {"addresses": [DESK], "partners": partners, "service_ids": ids}
    with pytest.raises(ValidationError, match="service_ids"):
        made(BarsPartner, partner, **told)
    made(BarsPartner, partner, **told, speaks=["mllp"])


@pytest.mark.parametrize(
    ("target", "refusal"),
    [
        ("not base64", "400 (PROXY_BAD_REQUEST)"),
        (
            encoded({"value": "EXAMPLE%20COUNCIL", "system": "hl7:LIQUID"}),
            "400 (PROXY_BAD_REQUEST structure)",
        ),
        (encoded({"value": "2000000999", "system": SERVICE_ID}), "404 (PROXY_NOT_FOUND not-found)"),
    ],
)
async def test_the_simulator_routes_by_the_target_alone_as_the_proxy_does(
    partner: CareSimulator, target: str, refusal: str
) -> None:
    sink, talk = made(BarsPartner, partner), Conversation(partner.clock.now())
    headers = request_headers(sink.data_of(bars_event(partner, talk, "request_new")), str(uuid.uuid4()))
    with pytest.raises(Refused) as caught:
        await sink.http.send(
            "POST",
            "/$process-message",
            content=talk.bundle("request_new"),
            headers=headers | {"NHSD-Target-Identifier": target},
        )
    assert f"{caught.value.status} ({' '.join(issues(caught.value.body))})" == refusal
    assert talk.correlation_id not in partner.held
    await sink.close()


OTHER_KEY = ""


def setup_module() -> None:
    from joserfc.jwk import RSAKey

    global OTHER_KEY  # noqa: PLW0603 - made once, since making one takes a while
    OTHER_KEY = RSAKey.generate_key(2048, private=True).as_pem(private=True).decode()
