"""HL7 v2 as it comes: frames split and merged, delimiters of the sender's choice, acknowledgements that others read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hl7apy.parser import parse_message
from hypothesis import example, given
from hypothesis import strategies as st

from hub.sdk import Reject
from hub.sdk.hl7 import Fault, Framer, Message, Unframed, acknowledgement, escaped, framed

HEADER = b"MSH|^~\\&|PAS|TRUST|HUB|COUNCIL|20260125162000||REF^I12^REF_I12|C-1|P|2.4\r"
MOMENT = datetime(2026, 1, 25, 16, 20, tzinfo=UTC)


@given(st.lists(st.binary(max_size=40).filter(lambda b: b"\x1c" not in b), max_size=6), st.data())
def test_messages_are_found_however_the_connection_cuts_them(
    bodies: list[bytes], data: st.DataObject
) -> None:
    stream, framer, found = b"".join(map(framed, bodies)), Framer(), list[bytes]()
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += framer.feed(stream[:size])
        stream = stream[size:]
    assert found == bodies
    assert not framer.within


@pytest.mark.parametrize("bytes_", [b"MSH|", b"\x0bhalf", b"\x0b" + b"x" * 200])
def test_what_is_not_framed_or_too_long_is_not_trusted(bytes_: bytes) -> None:
    framer = Framer(largest=100)
    if bytes_ == b"\x0bhalf":
        assert not list(framer.feed(bytes_))
        assert framer.within
        return
    with pytest.raises(Unframed):
        list(framer.feed(bytes_))


@pytest.mark.parametrize("place", ["PID-3", "PID-3.4", "PID-3.4.2", "PID-5", "PID-7"])
def test_what_is_to_be_deleted_reads_as_nothing(place: str) -> None:
    deleted = HEADER + b'PID|1||""^^^A&""||""^""||""\r'
    assert Message.parse(deleted).get(place) == ("A" if place == "PID-3.4" else "")


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30))
@example('""')
def test_any_text_survives_a_field(text: str) -> None:
    for delimiters in ("|^~\\&", "#@$!*"):
        body = HEADER.decode().replace("|^~\\&", delimiters, 1).replace("|", delimiters[0])
        body += delimiters[0].join(["NTE", "1", "", escaped(text, delimiters)]) + "\r"
        assert Message.parse(body.encode()).get("NTE-3") == text


@pytest.mark.parametrize("folder", ["messages", "messages_misc"])
def test_real_messages_are_read_as_another_library_reads_them(samples: Path, folder: str) -> None:
    read = 0
    for number, path in enumerate(sorted((samples / "hl7v2" / folder).glob("*.hl7"))):
        body = path.read_bytes()
        try:
            ours = Message.parse(body)
        except Reject as reject:
            assert reject.field and reject.reason  # it says what is wrong
            continue
        read += 1
        assert ours.get("MSH-10") or not ours.get("MSH-9")
        if number % 8:  # the other library takes its time
            continue
        try:
            theirs = parse_message(body.decode().replace("\n", "\r").replace("\r\r", "\r"), find_groups=False)
        except Exception:  # noqa: BLE001 - the other library is stricter; what it reads must agree
            continue
        assert ours.get("MSH-9.1") == theirs.msh.msh_9.msh_9_1.value
        assert ours.get("MSH-10") == theirs.msh.msh_10.value
    assert read


@pytest.mark.parametrize(
    ("fault", "later", "code"),
    [
        (None, False, "AA"),
        (Fault("101", "PID-3", "the patient has no number"), False, "AE"),
        (Fault("207", "", "try again"), True, "AR"),
    ],
)
def test_an_acknowledgement_is_read_by_another_library(fault: Fault | None, later: bool, code: str) -> None:
    told = acknowledgement(HEADER, MOMENT, "A-1", fault, later)
    theirs = parse_message(told.decode(), find_groups=False)
    assert theirs.msa.msa_1.value == code
    assert theirs.msa.msa_2.value == "C-1"
    ours = Message.parse(told)
    assert (ours.get("MSH-5"), ours.get("MSH-6")) == ("PAS", "TRUST")
    assert ours.get("MSH-9.1") == "ACK"
    if fault:
        assert ours.get("ERR-3") == fault.code
        assert ours.get("ERR-8") == fault.reason


def test_enhanced_mode_is_answered_with_commit_codes() -> None:
    asked = HEADER.replace(b"|P|2.4", b"|P|2.4|||AL|NE")
    assert Message.parse(acknowledgement(asked, MOMENT, "A-1", None, False)).get("MSA-1") == "CA"


@pytest.mark.parametrize("body", [b"", b"MSH", b"PID|1\r", b"MSH||||\r", b"MSH|^^^^|A\r", b"MSHA\\~&|x\r"])
def test_what_is_no_message_is_refused_by_name_and_still_answered(body: bytes) -> None:
    with pytest.raises(Reject) as caught:
        Message.parse(body)
    assert caught.value.field.startswith(("MSH", "segment"))
    assert (
        Message.parse(acknowledgement(body, MOMENT, "A-1", Fault("100", "", "no"), False)).get("MSA-1")
        == "AE"
    )


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_reader(body: bytes) -> None:
    for given_ in (body, HEADER + body):
        try:
            message = Message.parse(given_)
        except Reject:
            continue
        for place in ("MSH-1", "MSH-2", "MSH-9.2", "PID-3.4.2", "NTE-3"):
            assert isinstance(message.get(place), str)
