"""HL7 v2 over MLLP on the way out: `AA` is delivered, `AE` is set aside, all else comes again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.care_messages.samples import Conversation
from connectors.care_referrals.connector import Hl7Partner
from connectors.care_referrals.simulator import CareSimulator
from hub.sdk import Reject, Retry
from hub.sdk.clock import SteppedClock
from hub.sdk.hl7 import Message
from tests.care.conftest import bars_event, hl7_event, made


@pytest.fixture
def partner() -> Iterator[CareSimulator]:
    simulator = CareSimulator(SteppedClock(), seed=7)
    with simulator.running():
        yield simulator


async def test_a_referral_and_its_cancellation_arrive_and_what_was_overtaken_does_not(
    partner: CareSimulator,
) -> None:
    sink, talk = made(Hl7Partner, partner), Conversation(partner.clock.now())
    for fixture, after_s in (("ref_i12", 0), ("ref_i14", 90), ("ref_i13", 60)):
        event = hl7_event(partner, talk, fixture, after_s)
        await sink.deliver(event, event.envelope.id)
    taken = [Message.parse(one) for one in partner.taken]
    assert [one.get("MSH-9.2") for one in taken] == ["I12", "I14"]
    assert {one.get("RF1-6") for one in taken} == {talk.correlation_id}
    await sink.close()


async def test_a_bars_referral_reaches_an_hl7_partner_with_all_that_it_says(partner: CareSimulator) -> None:
    sink, talk = made(Hl7Partner, partner), Conversation(partner.clock.now())
    event = bars_event(partner, talk, "request_new")
    await sink.deliver(event, event.envelope.id)
    told = Message.parse(partner.taken[0])
    assert told.get("RF1-6") == talk.correlation_id
    assert (told.get("PID-3"), told.get("PID-5"), told.get("PID-7")) == (
        "9990308241",
        "Lindqvist",
        "19410309",
    )
    assert told.get("NTE-3").startswith("Lives alone")
    await sink.close()


@pytest.mark.parametrize(
    ("day", "error"), [("messages refused", Reject), ("system busy", Retry), ("half answers", Retry)]
)
async def test_what_is_not_acknowledged_is_not_delivered(
    partner: CareSimulator, day: str, error: type
) -> None:
    sink = made(Hl7Partner, partner)
    event = hl7_event(partner, Conversation(partner.clock.now()), "ref_i12")
    partner.have(day)
    with pytest.raises(error):
        await sink.deliver(event, event.envelope.id)
    await sink.close()


async def test_no_word_of_a_refusal_in_prose_is_told(partner: CareSimulator) -> None:
    sink = made(Hl7Partner, partner)
    event = hl7_event(partner, Conversation(partner.clock.now()), "ref_i12")
    partner.have("refusals in prose")
    with pytest.raises(Reject) as caught:
        await sink.deliver(event, event.envelope.id)
    assert (caught.value.reason, caught.value.field) == ("the receiver answered AE (no code)", "")
    await sink.close()


@pytest.mark.parametrize(
    ("code", "fault", "told", "field"),
    [
        ("AE", "PID^1^3|103", "AE (103)", "PID"),
        ("CE", "PID-3|A1234", "CE (no code)", "PID-3"),
        ("AE", "PV1^1|100", "AE (100)", "PV1"),
        ("AE", "LEE|999", "AE (no code)", ""),
        ("AE", "LEE-1|104", "AE (104)", ""),
        ("AE", "LINDQVIST|LINDQVIST", "AE (no code)", ""),
        ("AE", "|9990308241", "AE (no code)", ""),
        ("AR", "|207", "AR (207)", ""),
        ("Ada Lindqvist", "|", "without a code (no code)", ""),
    ],
)
async def test_of_an_answer_only_codes_and_places_are_told(
    partner: CareSimulator, code: str, fault: str, told: str, field: str
) -> None:
    def answer(body: bytes, *_: object, **__: object) -> bytes:
        control_id = Message.parse(body).get("MSH-10")
        return f"MSH|^~\\&|||||||ACK|1|P|2.4\rMSA|{code}|{control_id}\rERR||{fault}\r".encode()

    partner.answer = answer  # type: ignore[method-assign]
    sink = made(Hl7Partner, partner)
    event = hl7_event(partner, Conversation(partner.clock.now()), "ref_i12")
    with pytest.raises((Reject, Retry)) as caught:
        await sink.deliver(event, event.envelope.id)
    assert caught.value.reason == f"the receiver answered {told}"
    assert getattr(caught.value, "field", "") == field
    await sink.close()


async def test_a_repeat_after_a_lost_answer_is_known_by_its_control_id(partner: CareSimulator) -> None:
    sink = made(Hl7Partner, partner)
    event = hl7_event(partner, Conversation(partner.clock.now()), "ref_i12")
    partner.have("answers lost")
    with pytest.raises(Retry):
        await sink.deliver(event, event.envelope.id)
    partner.have("a good day")
    await sink.deliver(event, event.envelope.id)
    assert len(partner.taken) == 2 and partner.taken[0] == partner.taken[1]
    assert partner.effects() == {sink.control_id(event.envelope.id): 1}
    await sink.close()
