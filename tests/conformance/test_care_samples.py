"""Every published sample of care messages ends as an event, or is set aside with a reason that names what is wrong."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from connectors.care_messages.samples import FIXTURES, SERVICE_IDS, Conversation
from connectors.care_referrals.connector import BarsMessages, Hl7Messages
from connectors.care_referrals.simulator import CareSimulator
from connectors.nhs_mesh.connector import MeshLetters
from connectors.nhs_mesh.simulator import MeshSimulator
from hub.sdk import Reject
from hub.sdk.clock import SteppedClock
from hub.sdk.connector import Attributes, Source
from hub.sdk.hl7 import Message
from tests.care.conftest import made

FOLDERS = ("nhs_bars", "fhir_ukcore", "hl7v2", "nhs_mesh", "nhs_number")
PARTNERS = {
    "https://fhir.nhs.uk/Id/dos-service-id|111111111": "E08000025",
    "hl7:RHH|RHHFacility": "E08000025",
}
SERVICES = {**SERVICE_IDS, "hl7:RHH|RHHFacility": "111111111"}
CORRELATION = {"x-correlation-id": "9562466f-c982-4bd5-bb0e-255e9f5e6689"}
CLOCK = SteppedClock()
BARS = made(BarsMessages, CareSimulator(CLOCK), partners=PARTNERS, service_ids=SERVICES)
HL7 = made(Hl7Messages, CareSimulator(CLOCK), partners=PARTNERS, service_ids=SERVICES)
MESH = made(MeshLetters, MeshSimulator(CLOCK), partners=PARTNERS)

EVENTS = {
    "hl7v2/messages/REF-I12-01.hl7": "care.referral.requested",
    "hl7v2/messages/REF-I12-02.hl7": "care.referral.requested",
    "hl7v2/messages/REF-I14-02.hl7": "care.referral.cancelled",
    "nhs_bars/v1.4.0/process_message/request/ValidationRequest_POST_.json": "care.referral.requested",
    "nhs_bars/v1.4.0/process_message/request/ValidationResponse_POST_.json": "care.referral.accepted",
}


def outcome(source: Source, body: bytes, attributes: Attributes) -> str:  # type: ignore[type-arg]
    """The event's type, or the field that the refusal names; anything else that is raised fails the test."""
    try:
        (fact,) = source.translate(body, attributes)
    except Reject as reject:
        assert reject.field, f"the refusal names no field: {reject.reason}"
        assert len(reject.reason.split()) > 2 and "@" not in reject.reason, reject.reason
        assert not re.search(r"\d{10}", reject.reason), "the refusal repeats a number"
        return f"set aside: {reject.field}"
    return str(fact.data.type)


def through(path: Path) -> list[tuple[str, str]]:
    """Every connector that the file could come through, and how it ends there."""
    body = path.read_bytes()
    ends = [("nhs_mesh", outcome(MESH, body, {"mex-messagetype": "DATA"}))]
    if "hl7v2" in path.parts and path.suffix == ".hl7":
        ends.append(("care_referrals mllp", outcome(HL7, body, {})))
    elif path.suffix != ".xml":
        ends.append(("care_referrals bars", outcome(BARS, body, CORRELATION)))
    return ends


def files(samples: Path) -> list[Path]:
    return sorted(path for name in FOLDERS for path in (samples / name).rglob("*") if path.is_file())


def test_every_sample_becomes_an_event_or_is_set_aside_by_name(
    samples: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table: Counter[tuple[str, str, str]] = Counter()
    events: dict[str, set[str]] = {}
    chosen = files(samples)
    for path in chosen:
        name = path.relative_to(samples).as_posix()
        for connector, end in through(path):
            table[name.partition("/")[0], connector, end] += 1
            if not end.startswith("set aside"):
                events.setdefault(name, set()).add(end)
    with capsys.disabled():
        print(f"\n{'samples':<13}{'through':<21}{'end as':<62}{'count':>5}")
        for (folder, connector, end), count in sorted(table.items()):
            print(f"{folder:<13}{connector:<21}{end:<62}{count:>5}")
    assert {name: ends.pop() for name, ends in events.items() if len(ends) == 1} == EVENTS
    assert len(chosen) > 330
    assert sum(count for (_, connector, _), count in table.items() if connector == "nhs_mesh") == len(chosen)


def test_the_persons_own_number_is_read_where_bars_has_it(samples: Path) -> None:
    path = samples / "nhs_bars/v1.4.0/process_message/request/ValidationRequest_POST_.json"
    (fact,) = BARS.translate(path.read_bytes(), CORRELATION)
    assert fact.data.phone == "07736312544"


def test_a_sample_of_another_kind_is_refused_at_the_mllp_door_with_its_code(samples: Path) -> None:
    codes: Counter[str] = Counter()
    for path in sorted((samples / "hl7v2" / "messages").glob("*.hl7")):
        try:
            HL7.check(Message.parse(path.read_bytes()))
        except Reject as reject:
            codes[f"{HL7.fault(reject).code} {reject.field}"] += 1
        else:
            codes["taken"] += 1
    assert codes["taken"] == 3
    assert set(codes) <= {"taken", "200 MSH-9", "101 MSH-10"}, codes


async def test_the_sandbox_messages_are_fetched_as_the_sandbox_holds_them(samples: Path) -> None:
    simulator = MeshSimulator(SteppedClock())
    wholes = []
    for told in sorted((samples / "nhs_mesh/sandbox_data/mailboxes").rglob("*.json")):
        chunks = [
            (told.with_suffix("") / str(n)).read_bytes()
            for n in (1, 2)
            if (told.with_suffix("") / str(n)).exists()
        ]
        packed = json.loads(told.read_text())["metadata"].get("content_encoding") == "gzip"
        posted = simulator.post(b"", compress=packed, **{"mex-filename": told.name})
        posted.chunks, posted.total = dict(enumerate(chunks, 1)), len(chunks)
        wholes.append(b"".join(gzip.decompress(one) if packed else one for one in chunks))
    with simulator.running():
        source = made(MeshLetters, simulator)
        fetched = []
        for message_id in (await source.waiting()).ids:
            body = b"".join([piece async for piece in source.download(message_id)])
            fetched.append(body)
            assert outcome(source, body, source.attributes_of(message_id)) == "set aside: body"
        await source.close()
    assert sorted(fetched) == sorted(wholes) and len(wholes) == 3


def test_an_nhs_number_with_a_wrong_check_digit_is_flagged_and_never_refused(samples: Path) -> None:
    vectors = json.loads((samples / "nhs_number" / "vectors.json").read_text())
    wrong = [each["n"] for each in vectors["invalid"]]
    talk = Conversation(CLOCK.now())
    own = made(BarsMessages, CareSimulator(CLOCK)), made(Hl7Messages, CareSimulator(CLOCK))
    for number in (*vectors["valid"], *vectors["valid_formatted"], *wrong, "3478526985", "9912003890"):
        sound = number in vectors["valid"] + vectors["valid_formatted"]
        for source, body in zip(own, (talk.bundle("request_new"), talk.hl7("ref_i12")), strict=True):
            (fact,) = source.translate(body.replace(b"9990308241", number.encode()))
            assert fact.data.nhs_number_sound is sound, number
            assert fact.data.nhs_number.replace(" ", "") == number.replace(" ", "")


def test_our_own_samples_end_as_their_names_say() -> None:
    own = made(MeshLetters, MeshSimulator(CLOCK))
    ends = {path.name: outcome(own, path.read_bytes(), {}) for path in sorted(FIXTURES.iterdir())}
    assert len(ends) == 17
    assert {name: end for name, end in ends.items() if end.startswith("set aside")} == {
        "broken_booking.json": "set aside: MessageHeader.eventCoding",
        "broken_no_person.json": "set aside: Patient",
        "broken_no_referral_id.hl7": "set aside: RF1-6",
        "broken_no_status.json": "set aside: entry.1.resource.ServiceRequest.status",
        "broken_no_version.json": "set aside: meta.versionId",
        "broken_pending_answer.hl7": "set aside: RF1-1",
        "broken_unknown_recipient.json": "set aside: recipient",
    }
