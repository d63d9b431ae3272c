"""The hub's events written as FHIR message bundles. Pure: the same event gives the same bytes, at every attempt."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from connectors.care_messages.bundles import CATEGORY, CONVERSATION, NHS_NUMBER, ODS_CODE
from connectors.care_messages.canonical import CATEGORIES, Answer, Referral, priority
from hub.events.generated.care import (
    ReferralAccepted,
    ReferralCancelled,
    ReferralRejected,
    ReferralRequested,
    ReferralUpdated,
)
from hub.events.ids import derive

#: The version of BaRS Core that the bundles follow, in `Bundle.meta.versionId`.
CORE_VERSION = "1.4.0"

_NHS = "https://fhir.nhs.uk"
_UK = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-"
_FHIR_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")

Json = dict[str, Any]


def fhir_id(text: str) -> str:
    """A message's id as Bundle.id: itself, where it has that shape."""
    return text if _FHIR_ID.fullmatch(text) else derive("message", text)


def bundle(event: Referral, key: str) -> bytes:
    """The message for an event. `key` is the event's id; ids inside the bundle are made of it."""
    answer = isinstance(event, ReferralAccepted | ReferralRejected)
    made = _Entries(key, _instant(event.version_at))
    header = made.reserve("MessageHeader")
    request = made.reserve("ServiceRequest")
    person = made.person(event)
    sender, recipient = made.organisation(event, "sender"), made.organisation(event, "recipient")
    encounter = made.encounter(event, person) if answer or event.reference else None
    made.fill(request, _service_request(event, person, encounter, sender))
    if isinstance(event, ReferralRequested | ReferralUpdated) and event.summary:
        made.add("CarePlan", _care_plan(event.summary, person))
    made.fill(header, _header(event, sender, recipient, encounter if answer and encounter else request))
    written = {
        "resourceType": "Bundle",
        "id": fhir_id(event.message_id),
        "meta": {
            "versionId": CORE_VERSION,
            "lastUpdated": made.moment,
            "profile": [f"{_NHS}/StructureDefinition/BARSBundleMessage"],
        },
        "type": "message",
        "timestamp": made.moment,
        "entry": made.entries,
    }
    return json.dumps(written, ensure_ascii=False, separators=(",", ":")).encode()


class _Entries:
    """The entries of a bundle, each under a `urn:uuid:` of its own."""

    def __init__(self, key: str, moment: str) -> None:
        self._key = key
        self.moment = moment
        self.entries: list[Json] = []

    def reserve(self, kind: str, name: str = "") -> str:
        """Take the next place, to be filled later; gives the reference."""
        url = "urn:uuid:" + derive("entry", self._key, kind, name)
        self.entries.append({"fullUrl": url, "resource": {"resourceType": kind}})
        return url

    def fill(self, url: str, content: Json, profile: str = "") -> str:
        """Write a reserved resource; what is None or empty is left out."""
        entry = next(each for each in self.entries if each["fullUrl"] == url)
        meta = {"lastUpdated": self.moment, "profile": [profile] if profile else None}
        told = {"meta": _tidy(meta), **content}
        entry["resource"].update(_tidy(told))
        return url

    def add(self, kind: str, content: Json, name: str = "") -> str:
        """A resource; gives the reference."""
        return self.fill(self.reserve(kind, name), content, _UK + kind)

    def person(self, event: Referral) -> str:
        """The Patient: as much as the event tells."""
        told = event.__dict__
        number = {"system": NHS_NUMBER, "value": event.nhs_number} if event.nhs_number else None
        local = (
            {"system": f"{event.sender_address}/patient".replace("|", "/"), "value": event.local_number}
            if event.local_number
            else None
        )
        name = {"use": "official", "family": event.family_name, "given": (event.given_names or "").split()}
        home = {
            "line": [told["address"]] if told.get("address") else [],
            "postalCode": told.get("postcode"),
        }
        phone = {"system": "phone", "value": told["phone"]} if told.get("phone") else None
        content = {
            "identifier": [number, local],
            "name": [name] if event.family_name or event.given_names else [],
            "telecom": [phone],
            "gender": told.get("gender"),
            "birthDate": event.birth_date,
            "address": [{"use": "home", **home}] if any(home.values()) else [],
        }
        return self.add("Patient", content)

    def organisation(self, event: Referral, side: str) -> str:
        """The Organization at one side."""
        code, name = getattr(event, f"{side}_organisation"), getattr(event, f"{side}_name")
        identifier = [{"system": ODS_CODE, "value": code}] if code else []
        content = {"identifier": identifier, "name": name or code or side.capitalize()}
        return self.add("Organization", content, side)

    def encounter(self, event: Referral, person: str) -> str:
        """The Encounter: the sender's case, and in an answer how far it has come."""
        words, status = None, "planned"
        if isinstance(event, ReferralAccepted):
            words, status = event.note, event.progress or "planned"
        elif isinstance(event, ReferralRejected):
            words, status = event.reason, "cancelled"
        content = {
            "identifier": [{"system": _system(event), "value": event.reference}] if event.reference else [],
            "status": status,
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": person},
            "reasonCode": [{"text": words}] if words else [],
        }
        return self.add("Encounter", content)


def kind_and_reason(event: Referral) -> tuple[str, str]:
    """The codes of MessageHeader.eventCoding and reason; a withdrawal is an update in BaRS."""
    if isinstance(event, ReferralAccepted | ReferralRejected):
        return "servicerequest-response", "new"
    return "servicerequest-request", "new" if isinstance(event, ReferralRequested) else "update"


def _header(event: Referral, sender: str, recipient: str, focus: str) -> Json:
    kind, reason = kind_and_reason(event)
    return {
        "eventCoding": {"system": f"{_NHS}/CodeSystem/message-events-bars", "code": kind},
        "destination": [{"endpoint": event.recipient_address, "receiver": {"reference": recipient}}],
        "sender": {"reference": sender},
        "source": {"name": event.sender_name, "endpoint": event.sender_address},
        "reason": {"coding": [{"system": f"{_NHS}/CodeSystem/message-reason-bars", "code": reason}]},
        "response": _response(event) if isinstance(event, ReferralAccepted | ReferralRejected) else None,
        "focus": [{"reference": focus}],
        "definition": f"{_NHS}/MessageDefinition/bars-message-{kind}-referral",
    }


def _response(event: Answer) -> Json:
    """Which request is answered: its Bundle.id, or where the answer does not say, the conversation."""
    return {"identifier": fhir_id(event.request_id or event.conversation_id), "code": "ok"}


def _service_request(event: Referral, person: str, encounter: str | None, sender: str) -> Json:
    told = event.__dict__
    status = "active"
    if isinstance(event, ReferralCancelled):
        status = "entered-in-error" if event.entered_in_error else "revoked"
    reason = None if isinstance(event, ReferralAccepted | ReferralRejected) else event.reason
    period = {"start": _instant(told.get("starts_at")), "end": _instant(told.get("ends_at"))}
    return {
        "identifier": [{"system": CONVERSATION, "value": event.conversation_id}],
        "status": status,
        "intent": "order",
        "category": [{"coding": _category(told.get("category", "referral"))}],
        "priority": priority(told.get("priority")),
        "subject": {"reference": person},
        "encounter": {"reference": encounter} if encounter else None,
        "occurrencePeriod": period,
        "requester": {"reference": sender},
        "reasonCode": [{"text": reason}] if reason else [],
    }


def _category(code: str) -> list[Json]:
    """A code of BaRS, which has two; another one beside it."""
    known = code in CATEGORIES
    system = f"{_NHS}/CodeSystem/message-category-servicerequest"
    told = {"system": system, "code": code if known else "referral"}
    return [told] if known else [told, {"system": CATEGORY, "code": code}]


def _care_plan(summary: str, person: str) -> Json:
    return {"status": "active", "intent": "plan", "description": summary, "subject": {"reference": person}}


def _system(event: Referral) -> str:
    return f"urn:integration-hub:case-number:{derive('address', event.sender_address)}"


def _instant(moment: datetime | None) -> str:
    return moment.isoformat() if moment else ""


def _tidy(node: Any) -> Any:
    """Without what is None or empty: FHIR has neither nulls nor empty lists and objects."""
    if isinstance(node, dict):
        kept = {name: _tidy(value) for name, value in node.items()}
        return {name: value for name, value in kept.items() if value not in (None, "", [], {})}
    if isinstance(node, list):
        return [value for value in map(_tidy, node) if value not in (None, "", [], {})]
    return node
