"""FHIR and HL7 v2 tell the same events, and events come back from what is written of them as they were."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.care_messages import bundles, hl7, write_fhir
from connectors.care_messages.canonical import KINDS, Told, fact, hl7_address
from connectors.care_messages.fhir import Bundle
from connectors.care_messages.order import Newest
from connectors.care_messages.samples import COUNCIL, DESK, FIXTURES, HOSPITAL, WARD, resource
from hub.events.generated.care import (
    ReferralAccepted,
    ReferralCancelled,
    ReferralRejected,
    ReferralRequested,
    ReferralUpdated,
)
from hub.sdk import LONDON, Fact, Reject
from hub.sdk.hl7 import Message

PARTNERS = {HOSPITAL: "rxx", COUNCIL: "E08000025", WARD: "rxx", DESK: "E08000025"}
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def read(name: str) -> Fact:
    body = (FIXTURES / name).read_bytes()
    if name.endswith(".json"):
        return fact(bundles.read(Bundle.model_validate_json(body)), PARTNERS)
    return fact(hl7.read(Message.parse(body)), PARTNERS)


@pytest.mark.parametrize(
    ("fhir", "v2", "model"),
    [
        ("request_new", "ref_i12", ReferralRequested),
        ("request_update", "ref_i13", ReferralUpdated),
        ("request_cancel", "ref_i14", ReferralCancelled),
        ("response_accepted", "rri_accepted", ReferralAccepted),
        ("response_rejected", "rri_rejected", ReferralRejected),
    ],
)
def test_a_referral_in_either_language_is_the_same_event(fhir: str, v2: str, model: type) -> None:
    one, other = read(f"{fhir}.json").data, read(f"{v2}.hl7").data
    assert type(one) is type(other) is model
    for name in ("nhs_number", "nhs_number_sound", "local_number", "birth_date", "recipient_party"):
        assert getattr(one, name) == getattr(other, name), name
    assert one.family_name.casefold() == other.family_name.casefold()
    if model is ReferralRequested:
        same = ("gender", "postcode", "phone", "reason", "starts_at", "ends_at", "version_at", "reference")
        assert [getattr(one, name) for name in same] == [getattr(other, name) for name in same]


def _contact(code: str, *points: tuple[str, str, int | None]) -> dict[str, Any]:
    system = "https://fhir.hl7.org.uk/ValueSet/UKCore-PersonRelationshipType"
    telecom = [{"system": kind, "value": value, "rank": rank} for kind, value, rank in points]
    return {"relationship": [{"coding": [{"system": system, "code": code}]}], "telecom": telecom}


EMERGENCY = _contact("EP", ("phone", "0121 496 0777", 1))
ONESELF = _contact(
    "ONESELF",
    ("phone", "0121 496 0300", None),
    ("phone", "0121 496 0200", 2),
    ("email", "ada@example.org", 1),
    ("phone", "0121 496 0100", 1),
)
BOTH = EMERGENCY | {"relationship": EMERGENCY["relationship"] + ONESELF["relationship"]}


@pytest.mark.parametrize(
    ("contacts", "telecom", "phone"),
    [
        ([EMERGENCY, ONESELF], [], "0121 496 0100"),
        ([ONESELF], [{"system": "phone", "value": "0121 496 0123"}], "0121 496 0123"),
        ([EMERGENCY], [], None),
        ([BOTH], [], None),
        ([EMERGENCY | {"relationship": []}], [], None),
    ],
    ids=["by rank", "without need", "somebody else", "somebody else too", "nobody knows who"],
)
def test_a_persons_own_number_is_found_among_contacts_and_never_anothers(
    contacts: list[Any], telecom: list[Any], phone: str | None
) -> None:
    told = json.loads((FIXTURES / "request_new.json").read_bytes())
    resource(told, "Patient").update(telecom=telecom, contact=contacts)
    assert bundles.read(Bundle.model_validate(told)).values["phone"] == phone


def test_a_bars_answer_names_the_bundle_and_an_hl7_answer_the_control_id() -> None:
    assert read("response_accepted.json").data.request_id == read("request_new.json").data.message_id
    assert read("rri_accepted.hl7").data.request_id == read("ref_i12.hl7").data.message_id


def test_why_a_referral_was_made_is_not_told_as_why_it_was_rejected() -> None:
    told = json.loads((FIXTURES / "response_rejected.json").read_bytes())
    assert resource(told, "ServiceRequest")["reasonCode"] and resource(told, "Encounter").pop("reasonCode")
    assert bundles.read(Bundle.model_validate(told)).values["reason"] is None
    for name, field in (("rri_rejected", "reason"), ("rri_accepted", "note")):
        body, _, _ = (FIXTURES / f"{name}.hl7").read_bytes().partition(b"NTE")
        body = body.replace(b"|||||ASC-9104", b"||||^Reablement|ASC-9104")
        assert Message.parse(body).get("RF1-10.2") == "Reablement"
        assert hl7.read(Message.parse(body)).values[field] is None


def test_hl7_is_told_why_a_referral_was_rejected_in_a_note_as_it_tells_it() -> None:
    written = Message.parse(hl7.write(read("response_rejected.json").data, "c"))
    assert written.get("NTE-3") and not written.get("RF1-10.2")


def test_a_message_that_bars_sends_again_under_the_same_bundle_id_is_another_fact() -> None:
    new, update = read("request_new.json"), read("request_update.json")
    assert new.data.message_id == update.data.message_id
    assert new.subject == update.subject and new.key != update.key


@pytest.mark.parametrize(
    ("category", "codes"),
    [("referral", ["referral"]), ("validation", ["validation"]), ("Hom", ["referral", "Hom"])],
)
def test_bars_is_told_a_category_that_it_has_and_hl7s_own_stands_beside_it(
    category: str, codes: list[str]
) -> None:
    event = read("ref_i12.hl7").data.model_copy(update={"category": category})
    (concept,) = resource(json.loads(write_fhir.bundle(event, "key")), "ServiceRequest")["category"]
    assert [each["code"] for each in concept["coding"]] == codes
    systems = [each["system"] for each in concept["coding"]]
    assert systems.pop(0) == "https://fhir.nhs.uk/CodeSystem/message-category-servicerequest"
    assert systems == ["urn:integration-hub:category"] * (len(codes) - 1)


@pytest.mark.parametrize(
    ("category", "written"),
    [("referral", ""), ("validation", "validation^^99BARS"), ("Hom", "Hom")],
)
def test_hl7_is_told_no_category_of_bars_as_its_own(category: str, written: str) -> None:
    event = read("request_new.json").data.model_copy(update={"category": category})
    assert Message.parse(hl7.write(event, "c")).all("RF1")[0][3] == written


@pytest.mark.parametrize(
    ("priority", "written", "again"),
    [("urgent", "A", "urgent"), ("asap", "A", "asap"), ("stat", "S", "stat"), ("U", "", None)],
)
def test_hl7_is_told_a_priority_that_it_has(priority: str, written: str, again: str | None) -> None:
    event = read("request_new.json").data.model_copy(update={"priority": priority})
    message = Message.parse(hl7.write(event, "c"))
    assert message.get("RF1-2") == written
    assert hl7.read(message).values["priority"] == again


@pytest.mark.parametrize(
    ("code", "priority"), [("R", "routine"), ("urgent", "urgent"), ("ASAP", "asap"), ("U", None), ("", None)]
)
def test_of_hl7s_priorities_only_those_that_the_contract_has_are_read(
    code: str, priority: str | None
) -> None:
    body = (FIXTURES / "ref_i12.hl7").read_bytes().replace(b"|A^ASAP^HL70280|", f"|{code}|".encode())
    assert hl7.read(Message.parse(body)).values["priority"] == priority


def test_fhir_is_told_no_priority_that_it_lacks_and_none_is_read_from_it() -> None:
    told = json.loads((FIXTURES / "request_new.json").read_bytes())
    resource(told, "ServiceRequest")["priority"] = "U"
    assert bundles.read(Bundle.model_validate(told)).values["priority"] is None
    event = read("request_new.json").data.model_copy(update={"priority": "U"})
    assert "priority" not in resource(json.loads(write_fhir.bundle(event, "key")), "ServiceRequest")


WORDS = (
    st.text(
        st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="\x85"),
        min_size=1,
        max_size=30,
    )
    .map(str.strip)
    .filter(bool)
)
MOMENTS = st.integers(0, 10**11).map(
    lambda tenths: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=tenths * 40)
)
NAMES = st.text(st.characters(categories=("L",)), min_size=1, max_size=12)
IDS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef0123456789-.", min_size=1, max_size=40)
ADDRESSES = st.one_of(
    st.integers(1, 10**9).map(lambda number: f"https://fhir.nhs.uk/Id/dos-service-id|{number}"),
    st.builds(hl7_address, WORDS, WORDS),
)


def _maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


VALUES = st.fixed_dictionaries(
    {
        "conversation_id": st.uuids().map(str) | WORDS,
        "message_id": IDS,
        "version_at": MOMENTS,
        "sender_address": ADDRESSES,
        "sender_organisation": _maybe(IDS),
        "sender_name": WORDS,
        "recipient_address": ADDRESSES,
        "recipient_organisation": _maybe(IDS),
        "recipient_name": WORDS,
        "recipient_party": st.just("E08000025"),
        "nhs_number": st.sampled_from(["9990308241", "3478526985"]),
        "local_number": _maybe(WORDS),
        "family_name": _maybe(WORDS),
        "given_names": _maybe(st.lists(NAMES, min_size=1, max_size=2).map(" ".join)),
        "birth_date": _maybe(st.dates().map(lambda day: f"{day:%Y-%m-%d}".rjust(10, "0"))),
        "gender": _maybe(st.sampled_from(["male", "female", "other", "unknown"])),
        "address": _maybe(WORDS),
        "postcode": _maybe(st.just("B31 2AA")),
        "phone": _maybe(WORDS),
        "category": st.sampled_from(["referral", "validation"]) | WORDS,
        "priority": _maybe(st.sampled_from(["routine", "urgent", "asap", "stat"])),
        "reason": _maybe(WORDS),
        "summary": _maybe(st.lists(WORDS, min_size=1, max_size=3).map("\n".join)),
        "starts_at": _maybe(MOMENTS),
        "ends_at": _maybe(MOMENTS),
        "reference": _maybe(WORDS),
        "request_id": IDS,
        "progress": st.sampled_from(["planned", "triaged", "finished"]),
        "note": _maybe(st.lists(WORDS, min_size=1, max_size=3).map("\n".join)),
        "entered_in_error": st.booleans(),
    }
)


def _event(model: type, values: dict[str, Any]) -> Any:
    sound = values["nhs_number"] == "9990308241"
    told = Told(model, values | {"nhs_number_sound": sound})
    return fact(told, {values["recipient_address"]: "E08000025"}).data


def _same(event: Any, again: Any, *but: str) -> None:
    names = [name for name in type(event).model_fields if name not in but]
    assert {name: getattr(again, name) for name in names} == {name: getattr(event, name) for name in names}


@settings(max_examples=60, deadline=None)
@given(model=st.sampled_from(KINDS), values=VALUES)
def test_what_is_written_as_fhir_reads_as_it_was(model: type, values: dict[str, Any]) -> None:
    event = _event(model, values)
    body = write_fhir.bundle(event, "a key")
    assert body == write_fhir.bundle(event, "a key")
    bundle = Bundle.model_validate_json(body)
    brought = bundle.model_copy(update={"correlation_id": bundles.correlation(event.conversation_id)})
    for way in (bundle, brought):  # without the header, as in a mailbox, and with it
        again = fact(bundles.read(way), {event.recipient_address: "E08000025"}).data
        _same(event, again, "sender_address", "recipient_address")
        assert again.sender_address == event.sender_address


@settings(max_examples=60, deadline=None)
@given(model=st.sampled_from(KINDS), values=VALUES)
def test_what_is_written_as_hl7_reads_as_it_was(model: type, values: dict[str, Any]) -> None:
    event = _event(model, values)
    again = fact(
        hl7.read(Message.parse(hl7.write(event, "control"))), {event.recipient_address: "E08000025"}
    ).data
    assert again.message_id == "control"
    _same(event, again, "message_id", "reference", "progress", "entered_in_error")


@settings(max_examples=40, deadline=None)
@given(values=VALUES, answered=VALUES, accepted=st.booleans())
def test_an_answer_comes_back_under_the_hospitals_own_ids_through_the_other_language(
    values: dict[str, Any], answered: dict[str, Any], accepted: bool
) -> None:
    """The partner echoes what each standard has it echo: HL7 the whole of RF1-6 and RF1-11, FHIR the ServiceRequest
    and the Bundle.id."""
    asked = _event(ReferralRequested, values)
    sent = Message.parse(hl7.write(asked, "control"))
    reply = _event(
        ReferralAccepted if accepted else ReferralRejected,
        answered | {"conversation_id": "to be echoed", "reference": None},
    )
    lines = hl7.write(reply, "reply").decode().split("\r")
    rf1 = next(each for each in lines if each.startswith("RF1")).split("|") + [""] * 12
    echoed = sent.all("RF1")[0]
    rf1[6], rf1[11] = echoed[6], echoed[11]
    text = "\r".join("|".join(rf1) if each.startswith("RF1") else each for each in lines)
    told = fact(hl7.read(Message.parse(text.encode())), {reply.recipient_address: "rxx"}).data
    assert (told.conversation_id, told.request_id) == (asked.conversation_id, asked.message_id)


VERSIONS = st.lists(st.tuples(st.booleans(), st.integers(1, 20)), max_size=5)


@given(versions=VERSIONS, data=st.data())
def test_whatever_overtakes_what_the_end_is_the_same(versions: list[tuple[bool, int]], data: Any) -> None:
    base = {"request_new": read("request_new.json").data, "update": read("request_update.json").data}
    cancel = read("request_cancel.json").data
    first = base["request_new"].model_copy(update={"version_at": NOON})
    events = [first]
    for withdrawn, after in versions:
        kind = cancel if withdrawn else base["update"]
        events.append(kind.model_copy(update={"version_at": NOON + timedelta(seconds=after)}))
    ends = set()
    for order in itertools.islice(itertools.permutations(events), 24):
        newest, held = Newest(), None
        for event in order:
            if not newest.overtaken(event):
                newest.note(event)
                held = event
        ends.add((type(held).__name__, None if isinstance(held, ReferralCancelled) else held.version_at))
    assert len(ends) == 1
    if any(withdrawn for withdrawn, _ in versions):
        assert {name for name, _ in ends} == {"ReferralCancelled"}


def test_a_new_request_after_the_cancellation_opens_the_conversation_again() -> None:
    new, update, cancel = (read(f"request_{name}.json").data for name in ("new", "update", "cancel"))
    again = new.model_copy(update={"version_at": cancel.version_at + timedelta(days=1)})
    newest = Newest()
    for event in (new, cancel):
        newest.note(event)
    assert newest.overtaken(new) and newest.overtaken(update)
    assert not newest.overtaken(again)
    newest.note(again)
    assert newest.overtaken(cancel), "the old cancellation does not close the new referral"


@pytest.mark.parametrize(
    ("first", "stamp", "void"),
    [
        ("20261025015000", "20261025013000", False),
        ("20261025015000+0100", "20261025005900+0100", True),
        ("20261025025000", "20261025024000", True),
        ("20261025023100", "20261025013000", True),
    ],
    ids=["in the hour that is there twice", "before it", "after it", "an hour and a minute behind"],
)
def test_a_cancellation_in_the_hour_that_london_has_twice_is_not_taken_for_an_old_one(
    first: str, stamp: str, void: bool
) -> None:
    newest = Newest()
    newest.note(_stamped("ref_i12.hl7", first))
    assert newest.overtaken(_stamped("ref_i14.hl7", stamp)) is void


def test_what_was_passed_on_before_a_cancellation_that_seems_older_does_not_come_back() -> None:
    newest = Newest()
    request, update = _stamped("ref_i12.hl7", "20261025015000"), _stamped("ref_i13.hl7", "20261025015500")
    for event in (request, update, _stamped("ref_i14.hl7", "20261025013000")):
        assert not newest.overtaken(event)
        newest.note(event)
    assert newest.overtaken(request) and newest.overtaken(update)


def test_a_new_request_that_seems_older_than_the_cancellation_opens_the_conversation_again() -> None:
    newest = Newest()
    request, cancel = _stamped("ref_i12.hl7", "20261025011000"), _stamped("ref_i14.hl7", "20261025015000")
    again = _stamped("ref_i12.hl7", "20261025012000")
    for event in (request, cancel, again):
        assert not newest.overtaken(event)
        newest.note(event)
    assert newest.overtaken(request) and newest.overtaken(cancel)
    assert not newest.overtaken(again)
    for stamp in ("20261025014000", "20261025030000"):
        assert not newest.overtaken(_stamped("ref_i13.hl7", stamp))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ref_i12.hl7", "ref_i13.hl7", "ref_i14.hl7"]), st.integers(1, 40), st.booleans()
    ),
    max_size=8,
)


@given(steps=STEPS)
def test_in_the_hour_that_london_has_twice_nothing_is_lost_and_nothing_comes_back(
    steps: list[tuple[str, int, bool]],
) -> None:
    """Messages as they were made, minutes after one another, with and without a zone, are all passed on but updates
    of what is cancelled; after a cancellation nothing of before is passed on again."""
    newest, moment, past, closed = Newest(), datetime(2026, 10, 25, 0, 0, tzinfo=UTC), [], False
    for number, (name, after, zoned) in enumerate(steps):
        moment += timedelta(minutes=after)
        stamp = moment.astimezone(LONDON).strftime("%Y%m%d%H%M%S" + "%z" * zoned)
        event = _stamped(name, stamp).model_copy(update={"message_id": str(number)})
        assert newest.overtaken(event) is (closed and isinstance(event, ReferralUpdated))
        if newest.overtaken(event):
            continue
        newest.note(event)
        if isinstance(event, ReferralCancelled):
            closed = True
            assert all(newest.overtaken(each) for each in past)
        else:
            closed = closed and isinstance(event, ReferralUpdated)
            past.append(event)


def _stamped(name: str, stamp: str) -> Any:
    """The event of a sample that was made at another time."""
    body = re.sub(rb"\|2026\d{10}\+0000\|\|RE", f"|{stamp}||RE".encode(), (FIXTURES / name).read_bytes())
    return fact(hl7.read(Message.parse(body)), PARTNERS).data


def test_forgetting_old_conversations_costs_a_repeat_and_no_more() -> None:
    newest = Newest(limit=2)
    event = read("request_cancel.json").data
    for number in range(3):
        newest.note(event.model_copy(update={"conversation_id": str(number)}))
    update = read("request_update.json").data
    held = [
        newest.overtaken(update.model_copy(update={"conversation_id": str(number)})) for number in range(3)
    ]
    assert held == [False, True, True]


def test_what_hl7_deletes_is_not_told_as_two_quotes_nor_makes_referrals_one_conversation() -> None:
    body = (FIXTURES / "ref_i12.hl7").read_bytes().replace(b"|REF-77120^ST EBBA|", b'|""|')
    body = re.sub(rb"PID.*?\r", b'PID|1||""^^^NHS^NH~""||""^""||""\r', body)
    told = fact(hl7.read(Message.parse(body)), PARTNERS)
    assert told.subject == "STAY-2211"
    assert '""' not in str(told.data)
    with pytest.raises(Reject, match="RF1-6"):
        hl7.read(Message.parse(body.replace(b"|STAY-2211", b'|""')))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("broken_booking.json", "MessageHeader.eventCoding"),
        ("broken_no_person.json", "Patient"),
        ("broken_unknown_recipient.json", "recipient"),
        ("broken_no_referral_id.hl7", "RF1-6"),
        ("broken_pending_answer.hl7", "RF1-1"),
    ],
)
def test_a_broken_message_is_set_aside_by_name(name: str, field: str) -> None:
    with pytest.raises(Reject) as caught:
        read(name)
    assert caught.value.field == field


def test_the_event_of_a_referral_without_an_nhs_number_says_nothing_of_one() -> None:
    told = read("ref_i12.hl7")
    none = replace(told, data=told.data.model_copy(update={"nhs_number": None, "nhs_number_sound": None}))
    again = hl7.read(Message.parse(hl7.write(none.data, "c")))
    assert (again.values["nhs_number"], again.values["nhs_number_sound"]) == (None, None)
