"""What all care messages have in common, whichever language they are in: kinds, addresses, persons, facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from hub.events.generated.care import (
    ReferralAccepted,
    ReferralCancelled,
    ReferralRejected,
    ReferralRequested,
    ReferralUpdated,
)
from hub.events.model import EventData
from hub.sdk import Fact, Reject
from hub.sdk.identifiers import NhsNumber, postcode

Request = ReferralRequested | ReferralUpdated | ReferralCancelled
Answer = ReferralAccepted | ReferralRejected
Referral = Request | Answer

#: How soon, in FHIR's words, which are the contract's.
PRIORITIES = frozenset({"routine", "urgent", "asap", "stat"})
#: What is asked for, in the words of BaRS; HL7 v2 has others.
CATEGORIES = ("referral", "validation")

#: System of the ids of services in the Directory of Services (DOS), by which BaRS routes.
SERVICE_ID = "https://fhir.nhs.uk/Id/dos-service-id"

KINDS = (ReferralRequested, ReferralUpdated, ReferralCancelled, ReferralAccepted, ReferralRejected)


@dataclass(frozen=True, slots=True)
class Told:
    """What a message says: which event it becomes, and values for its fields; others are passed over."""

    kind: type[EventData]
    values: Mapping[str, Any]


def fact(told: Told, partners: Mapping[str, str], organisation: str = "") -> Fact:
    """The one fact of a message. Raises Reject for a recipient that is no party of the hub.

    Same conversation, message id and version: same fact. BaRS keeps a Bundle.id in later messages about the
    same referral, so that the id alone would not tell them apart.
    """
    values = dict(told.values)
    recipient = values["recipient_address"]
    if recipient not in partners:
        raise Reject(
            "recipient: no party of the hub is known behind this address: check `partners`",
            field="recipient",
            kind="unknown-recipient",
        )
    values["recipient_party"] = partners[recipient]
    values["sender_organisation"] = values.get("sender_organisation") or organisation or None
    model = told.kind
    data = model(**{name: values[name] for name in model.model_fields if name in values})
    moment: datetime = values["version_at"]
    conversation = str(values["conversation_id"])
    key = f"{conversation}:{values['message_id']}:{moment.isoformat()}"
    return Fact(data, subject=conversation, time=moment, key=key)


def nhs_number(text: str) -> dict[str, Any]:
    """The number and whether it is sound: flagged, never refused, since official samples fail the check."""
    if not text.strip():
        return {"nhs_number": None, "nhs_number_sound": None}
    read = NhsNumber.read(text)
    if read is None:
        return {"nhs_number": text.strip(), "nhs_number_sound": False}
    return {"nhs_number": read.digits, "nhs_number_sound": read.sound}


def tidy_postcode(text: str) -> str | None:
    """In the usual form, or as it stands where it has another."""
    return postcode(text) or text.strip() or None


def priority(text: str | None) -> str | None:
    """One of `PRIORITIES`; None for anything else."""
    return text if text in PRIORITIES else None


def hl7_address(application: str, facility: str) -> str:
    """The address of an HL7 v2 system, by MSH-3 and MSH-4 (or MSH-5 and MSH-6); odd signs as in a URL."""
    return f"hl7:{quote(application, safe='')}|{quote(facility, safe='')}"


def is_hl7(address: str) -> bool:
    """Whether an address is that of an HL7 v2 system; others speak FHIR."""
    return address.startswith("hl7:")


def is_service(address: str) -> bool:
    """Whether an address is that of a service in the DOS."""
    return address.startswith(f"{SERVICE_ID}|")


def hl7_names(address: str) -> tuple[str, str]:
    """Application and facility of an `hl7_address`."""
    application, _, facility = address.removeprefix("hl7:").partition("|")
    return unquote(application), unquote(facility)
