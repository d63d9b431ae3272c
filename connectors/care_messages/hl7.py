"""HL7 v2 referrals read as the hub's events, and written from them: `REF^I12` to `I14`, and their answers `RRI`. Pure.

Sources: HL7 v2.8, chapter 11. RF1-6, the originating referral identifier, is the conversation; an answer's RF1-1 says
`A` (accepted) or `R` (rejected). The UK's use (NHS number in PID-3, authority `NHS`, type `NH`) is custom, in no
published standard.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from connectors.care_messages.canonical import (
    Referral,
    Told,
    hl7_address,
    hl7_names,
    is_hl7,
    nhs_number,
    priority,
    tidy_postcode,
)
from hub.events.generated.care import (
    ReferralAccepted,
    ReferralCancelled,
    ReferralRejected,
    ReferralRequested,
    ReferralUpdated,
)
from hub.events.model import EventData
from hub.sdk import LONDON, Reject
from hub.sdk.hl7 import Message, escaped

REQUESTS: dict[str, type[EventData]] = {
    "I12": ReferralRequested,
    "I13": ReferralUpdated,
    "I14": ReferralCancelled,
}
ANSWERS: dict[str, type[EventData]] = {"A": ReferralAccepted, "R": ReferralRejected}

#: What a listener takes.
TYPES = tuple(f"{kind}^{event}" for kind in ("REF", "RRI") for event in REQUESTS)

#: Segments that REF and RRI may have.
SEGMENTS = frozenset(
    "MSH SFT UAC MSA RF1 AUT CTD PRD PID NK1 GT1 IN1 IN2 IN3 ACC DG1 DRG AL1 PR1 OBR NTE OBX PV1 PV2".split()
)

_TIME = re.compile(
    r"(?P<day>\d{4}(?:\d\d){0,2})(?P<clock>(?<=\d{8})(?:\d\d){1,3})?(?:\.(?P<fraction>\d{1,6}))?(?P<zone>[+-]\d{4})?",
    re.ASCII,
)
_GENDERS = {"M": "male", "F": "female", "O": "other", "U": "unknown", "A": "other", "N": "other"}
_PRIORITIES = {"R": "routine", "A": "asap", "S": "stat"}
#: RF1-2 and RF1-3 for words that HL7's own tables lack. A REF is a referral, and need not say so.
_WRITTEN_PRIORITIES = {name: code for code, name in _PRIORITIES.items()} | {"urgent": "A^urgent^HL70280"}
_WRITTEN_CATEGORIES = {"referral": "", "validation": "validation^^99BARS"}
_REQUEST = "REQUEST"


def read(message: Message) -> Told:
    """What a message says. Raises Reject that names the segment and field."""
    kind, event = message.get("MSH-9.1"), message.get("MSH-9.2")
    if f"{kind}^{event}" not in TYPES:
        raise Reject("MSH-9: only REF and RRI, I12 to I14, are understood", field="MSH-9", kind="hl7")
    values = _common(message)
    if kind == "REF":
        if not message.all("PID"):
            raise Reject("PID: the message names no person", field="PID", kind="hl7")
        return _request(message, REQUESTS[event], values)
    code = message.get("RF1-1")
    if code not in ANSWERS:
        raise Reject("RF1-1: only A (accepted) and R (rejected) are answers", field="RF1-1", kind="hl7")
    words = _notes(message)  # RF1-10 is why the referral was made
    told = {"note": words, "progress": None, "reason": words, "request_id": _text(message, "MSA-2")}
    if message.get("RF1-11.2") == _REQUEST:  # as we sent it
        told["request_id"] = _text(message, "RF1-11")
    else:
        told["reference"] = _text(message, "RF1-11")
    return Told(ANSWERS[code], values | told)


def _request(message: Message, kind: type[EventData], values: dict[str, Any]) -> Told:
    person = _person(message)
    told: dict[str, Any] = {
        "reference": _text(message, "RF1-11"),
        "category": message.get("RF1-3.1") or "referral",
        "priority": _priority(message),
        "reason": _text(message, "RF1-10.2") or _text(message, "RF1-10"),
        "summary": _notes(message),
        "starts_at": moment(message.get("RF1-7"), "RF1-7"),
        "ends_at": moment(message.get("RF1-8"), "RF1-8"),
        "entered_in_error": False,
    }
    return Told(kind, values | person | told)


def _priority(message: Message) -> str | None:
    """By HL7's code, or by FHIR's word in its place; None for anything else."""
    code = message.get("RF1-2")
    if code == "A" and message.get("RF1-2.2") == "urgent":  # as we write it
        return "urgent"
    return _PRIORITIES.get(code) or priority(code.lower())


def _common(message: Message) -> dict[str, Any]:
    conversation = message.get("RF1-6") or message.get("RF1-11")
    if not conversation:
        raise Reject("RF1-6: the originating referral identifier is missing", field="RF1-6", kind="hl7")
    control = message.get("MSH-10")
    if not control:
        raise Reject("MSH-10: the message has no control id", field="MSH-10", kind="hl7")
    sent = moment(message.get("MSH-7"), "MSH-7")
    if sent is None:
        raise Reject("MSH-7: the message does not say when it was made", field="MSH-7", kind="hl7")
    return {
        "conversation_id": conversation,
        "message_id": control,
        "version_at": sent,
        "sender_address": _address(message, 3),
        "recipient_address": _address(message, 5),
        **_provider(message, "RP", "sender"),
        **_provider(message, "RT", "recipient"),
        **_person(message),
    }


def _person(message: Message) -> dict[str, Any]:
    """Of the first PID; empty where there is none, as in some answers."""
    segment = next(iter(message.all("PID")), ())
    numbers = message.repetitions(segment, 3)
    nhs = [one for one in numbers if message.component(one, 4) == "NHS" or message.component(one, 5) == "NH"]
    local = [message.component(one) for one in numbers if one not in nhs]
    lines = [message.get(f"PID-11.{place}") for place in (1, 2, 3, 4)]
    return nhs_number(message.component(nhs[0]) if nhs else "") | {
        "local_number": next((one for one in local if one), None),
        "family_name": _text(message, "PID-5.1"),
        "given_names": " ".join(filter(None, (message.get("PID-5.2"), message.get("PID-5.3")))) or None,
        "birth_date": _day(message.get("PID-7")),
        "gender": _GENDERS.get(message.get("PID-8")),
        "address": ", ".join(filter(None, lines)) or None,
        "postcode": tidy_postcode(message.get("PID-11.5")),
        "phone": _text(message, "PID-13.12") or _text(message, "PID-13.1"),
    }


def _address(message: Message, place: int) -> str:
    """Of an HL7 system; or of a FHIR service, as `_places` writes it."""
    if message.get(f"MSH-{place}.3") == "URI":
        return f"{message.get(f'MSH-{place}.2')}|{message.get(f'MSH-{place}')}"
    return hl7_address(message.get(f"MSH-{place}"), message.get(f"MSH-{place + 1}"))


def _provider(message: Message, role: str, side: str) -> dict[str, str | None]:
    found = next((each for each in message.all("PRD") if message.pick(each, "1") == role), ())
    codes = [one for one in message.repetitions(found, 7) if message.component(one, 2) == "ODS"]
    return {
        f"{side}_name": message.pick(found, "10") or message.pick(found, "2") or None,
        f"{side}_organisation": message.component(codes[0]) if codes else None,
    }


def _notes(message: Message) -> str | None:
    """What is written beside the referral: notes that stand before the first order or observation."""
    found = []
    for segment in message.segments:
        if segment[0] in ("OBR", "OBX", "PR1"):
            break
        if segment[0] == "NTE":
            found.append(message.pick(segment, "3"))
    return "\n".join(note for note in found if note) or None


def _text(message: Message, place: str) -> str | None:
    return message.get(place) or None


def _day(text: str) -> str | None:
    found = re.match(r"(\d{4})(\d\d)?(\d\d)?", text, re.ASCII)
    return "-".join(part for part in found.groups() if part) if found else None


def moment(text: str, place: str) -> datetime | None:
    """An HL7 time in UTC; without a zone it is London's. None for nothing. Raises Reject that names `place`."""
    if not text:
        return None
    found = _TIME.fullmatch(text)
    if not found:
        raise Reject(f"{place}: is not an HL7 time", field=place, kind="hl7")
    day, clock, fraction, zone = (part or "" for part in found.group("day", "clock", "fraction", "zone"))
    digits = (day + "0101")[:8]
    try:
        naive = datetime.strptime(digits + clock.ljust(6, "0"), "%Y%m%d%H%M%S").replace(tzinfo=LONDON)
        exact = naive.replace(microsecond=int(fraction.ljust(6, "0") or 0))
        if zone:
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:]))
            exact = exact.replace(tzinfo=timezone(offset if zone[0] == "+" else -offset))
        return exact.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Reject(f"{place}: is no time that a calendar has", field=place, kind="hl7") from None


def write(event: Referral, control_id: str, version: str = "2.4") -> bytes:
    """The message for an event, MSH-10 being `control_id`. Raises Reject for an address that is not HL7's."""
    events = {model: name for name, model in REQUESTS.items()}
    answer = isinstance(event, ReferralAccepted | ReferralRejected)
    kind, trigger = ("RRI", "I12") if answer else ("REF", events[type(event)])
    segments = [
        [
            "MSH",
            "^~\\&",
            *_places(event.sender_address),
            *_places(event.recipient_address),
            _stamp(event.version_at),
            "",
            f"{kind}^{trigger}^{kind}_I12",
            escaped(control_id),
            "P",
            version,
            *([""] * 5),
            "UNICODE UTF-8",
        ],
        *_answered(event),
        _rf1(event),
        _prd("RP^Referring provider^HL70286", event.sender_name, event.sender_organisation),
        _prd("RT^Referred to provider^HL70286", event.recipient_name, event.recipient_organisation),
        _pid(event),
        *_written_notes(event),
    ]
    return "".join("|".join(segment).rstrip("|") + "\r" for segment in segments).encode()


def _answered(event: Referral) -> list[list[str]]:
    if not isinstance(event, ReferralAccepted | ReferralRejected):
        return []
    return [["MSA", "AA", escaped(event.request_id or event.conversation_id)]]


def _rf1(event: Referral) -> list[str]:
    told = event.__dict__
    status = {ReferralAccepted: "A^Accepted^HL70283", ReferralRejected: "R^Rejected^HL70283"}.get(
        type(event), "P^Pending^HL70283"
    )
    category = told.get("category") or ""
    if isinstance(event, ReferralAccepted | ReferralRejected):
        external, reason = escaped(event.reference or ""), ""
    else:
        external, reason = f"{escaped(event.message_id)}^{_REQUEST}", escaped(told.get("reason") or "")
    return [
        "RF1",
        status,
        _WRITTEN_PRIORITIES.get(told.get("priority") or "", ""),
        _WRITTEN_CATEGORIES.get(category, escaped(category)),
        "",
        "",
        escaped(event.conversation_id),
        _stamp(told.get("starts_at")),
        _stamp(told.get("ends_at")),
        _stamp(event.version_at),
        f"^{reason}" if reason else "",
        external,
    ]


def _prd(role: str, name: str | None, organisation: str | None) -> list[str]:
    identifier = f"{escaped(organisation)}^ODS" if organisation else ""
    return ["PRD", role, escaped(name or ""), "", "", "", "", identifier]


def _pid(event: Referral) -> list[str]:
    told = event.__dict__
    numbers = [f"{escaped(event.nhs_number)}^^^NHS^NH" if event.nhs_number else ""]
    numbers.append(escaped(event.local_number) if event.local_number else "")
    given, _, further = (event.given_names or "").partition(" ")
    codes = {"male": "M", "female": "F", "other": "O", "unknown": "U"}
    home = [escaped(told.get("address") or ""), "", "", "", escaped(told.get("postcode") or "")]
    return [
        "PID",
        "1",
        "",
        "~".join(filter(None, numbers)),
        "",
        "^".join(escaped(part) for part in (event.family_name or "", given, further)).rstrip("^"),
        "",
        (event.birth_date or "").replace("-", ""),
        codes.get(told.get("gender") or "", ""),
        "",
        "",
        "^".join(home).rstrip("^"),
        "",
        escaped(told.get("phone") or ""),
    ]


def _written_notes(event: Referral) -> list[list[str]]:
    name = "reason" if isinstance(event, ReferralRejected) else "note"
    note = event.__dict__.get("summary") or event.__dict__.get(name)
    return [
        ["NTE", str(place), "", escaped(line)]
        for place, line in enumerate((note or "").split("\n"), 1)
        if line
    ]


def _places(address: str) -> tuple[str, str]:
    """Application and facility; for a FHIR service its id, with what kind of id that is, so that it comes back."""
    if is_hl7(address):
        application, facility = hl7_names(address)
        return escaped(application), escaped(facility)
    system, _, service = address.rpartition("|")
    return f"{escaped(service)}^{escaped(system)}^URI", ""


def _stamp(when: datetime | None) -> str:
    if when is None:
        return ""
    fraction = f".{when.microsecond // 100:04}" if when.microsecond else ""
    return when.strftime("%Y%m%d%H%M%S") + fraction + when.strftime("%z")
