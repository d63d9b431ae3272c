"""FHIR message bundles read as the hub's events. Pure.

BaRS: a request is new or changed by `MessageHeader.reason`; it is withdrawn by an update whose ServiceRequest is
`revoked` or `entered-in-error` (or by reason `delete`). An answer's focus is the responder's Encounter, whose status
says how far it has come, `cancelled` for a rejection; `MessageHeader.response.identifier` is the request's Bundle.id.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, NoReturn

from connectors.care_messages.canonical import Told, nhs_number, priority, tidy_postcode
from connectors.care_messages.fhir import (
    Bundle,
    CarePlan,
    Encounter,
    MessageHeader,
    Organization,
    Patient,
    Reference,
    ServiceRequest,
)
from hub.events.generated.care import (
    ReferralAccepted,
    ReferralCancelled,
    ReferralRejected,
    ReferralRequested,
    ReferralUpdated,
)
from hub.events.ids import derive
from hub.sdk import Reject

#: System of the identifier that carries a conversation id which is no UUID, or one that no header carries.
CONVERSATION = "urn:integration-hub:conversation"
#: System of a category that is none of BaRS's, beside the one that BaRS is told.
CATEGORY = "urn:integration-hub:category"
NHS_NUMBER = "https://fhir.nhs.uk/Id/nhs-number"
ODS_CODE = "https://fhir.nhs.uk/Id/ods-organization-code"

_WITHDRAWN = ("revoked", "entered-in-error")
_REJECTED = ("cancelled", "entered-in-error")


def read(bundle: Bundle) -> Told:
    """What a bundle says. Raises Reject that names the element at fault."""
    header = bundle.header()
    event = header.event_coding.code
    if event == "servicerequest-request":
        return _request(bundle, header)
    if event == "servicerequest-response":
        return _answer(bundle, header)
    raise Reject(
        "MessageHeader.eventCoding: only service requests and their responses are understood",
        field="MessageHeader.eventCoding",
        kind="fhir",
    )


def correlation(conversation_id: str) -> str:
    """A conversation id as X-Correlation-Id, which must be a UUID: itself, or one made of it."""
    try:
        return str(uuid.UUID(conversation_id))
    except ValueError:
        return derive("conversation", conversation_id)


def _request(bundle: Bundle, header: MessageHeader) -> Told:
    request = bundle.one(ServiceRequest, _focus(header))
    values = _common(bundle, header, request) | {"reference": _case_number(bundle)}
    reasons = list(header.reason.codes())
    if request.status in _WITHDRAWN or "delete" in reasons:
        values["entered_in_error"] = request.status == "entered-in-error"
        values["reason"] = _reason(request)
        return Told(ReferralCancelled, values)
    if request.status != "active":
        _refuse("ServiceRequest.status", "is neither active nor withdrawn")
    kind = {"new": ReferralRequested, "update": ReferralUpdated}.get(next(iter(reasons), ""))
    if kind is None:
        _refuse("MessageHeader.reason", "is neither new, update nor delete")
    bundle.one(Patient, request.subject)  # without a person there is nobody to care for
    return Told(kind, values | _content(bundle, request))


def _answer(bundle: Bundle, header: MessageHeader) -> Told:
    if header.response is None:
        _refuse("MessageHeader.response", "an answer must name what it answers")
    request = bundle.one(ServiceRequest)
    encounter = bundle.at(_focus(header), Encounter)
    values = _common(bundle, header, encounter or request)
    values["request_id"] = header.response.identifier
    values["reference"] = _first(each.value for each in encounter.identifier) if encounter else None
    words = [reason.words() for reason in encounter.reason_code] if encounter else []
    told = "; ".join(word for word in words if word) or None
    if header.response.code == "transient-error":
        _refuse("MessageHeader.response.code", "the partner could not judge the referral yet")
    status = encounter.status if encounter else None
    if header.response.code == "fatal-error" or status in _REJECTED or request.status in _WITHDRAWN:
        return Told(ReferralRejected, values | {"reason": told})  # the request's own is why it was made
    return Told(ReferralAccepted, values | {"progress": status, "note": told})


def _common(bundle: Bundle, header: MessageHeader, focus: ServiceRequest | Encounter) -> dict[str, Any]:
    request = next(iter(bundle.every(ServiceRequest)), None)
    person = bundle.at(request.subject, Patient) if request else None
    person = person or next(iter(bundle.every(Patient)), None)
    sender = bundle.at(header.sender, Organization)
    recipient = bundle.at(header.destination[0].receiver, Organization)
    version: datetime = focus.meta.last_updated or bundle.meta.last_updated or bundle.timestamp
    return {
        "conversation_id": _conversation(bundle, header, request),
        "message_id": bundle.id,
        "version_at": version,
        "sender_address": _address(header.source.endpoint),
        "sender_organisation": _ods(sender),
        "sender_name": (sender.name if sender else "") or header.source.name or None,
        "recipient_address": _address(header.destination[0].endpoint),
        "recipient_organisation": _ods(recipient),
        "recipient_name": (recipient.name if recipient else "") or None,
        **(_person(person) if person else nhs_number("")),
    }


def _conversation(bundle: Bundle, header: MessageHeader, request: ServiceRequest | None) -> str:
    """The header's X-Correlation-Id, or the id that it was made of, which the ServiceRequest then carries. A bundle
    that came without headers is in the conversation of its identifier, or else of the first Bundle.id."""
    given = [each.value for each in request.identifier if each.system == CONVERSATION] if request else []
    if bundle.correlation_id:
        return next(
            (one for one in given if correlation(one) == bundle.correlation_id), bundle.correlation_id
        )
    return next(iter(given), header.response.identifier if header.response else bundle.id)


def _person(person: Patient) -> dict[str, Any]:
    name = next((each for each in person.name if each.use in ("official", "usual")), None)
    name = name or next(iter(person.name), None)
    home = next((each for each in person.address if each.use == "home"), None)
    home = home or next(iter(person.address), None)
    numbers = {each.system.rpartition("/")[2]: each.value for each in reversed(person.identifier)}
    lines = [*home.line, home.city, home.district] if home else []
    return nhs_number(numbers.pop("nhs-number", "")) | {
        "local_number": _first(numbers.values()),
        "family_name": (name.family if name else "") or None,
        "given_names": " ".join(name.given) or None if name else None,
        "birth_date": person.birth_date or None,
        "gender": person.gender or None,
        "address": ", ".join(line for line in lines if line) or None,
        "postcode": tidy_postcode(home.postal_code) if home else None,
        "phone": _first(person.numbers()),
    }


def _content(bundle: Bundle, request: ServiceRequest) -> dict[str, Any]:
    codings = [coding for category in request.category for coding in category.coding if coding.code]
    own = (coding.code for coding in codings if coding.system == CATEGORY)
    plans = [
        plan.description or next((word for word in _outcomes(plan)), "") for plan in bundle.every(CarePlan)
    ]
    notes = [note.text for note in request.note] + plans
    return {
        "category": next(own, codings[0].code if codings else "referral"),
        "priority": priority(request.priority),
        "reason": _reason(request),
        "summary": "\n".join(note for note in notes if note) or None,
        "starts_at": request.occurrence_period.start,
        "ends_at": request.occurrence_period.end,
    }


def _outcomes(plan: CarePlan) -> list[str]:
    told = (each.text for activity in plan.activity for each in activity.outcome_codeable_concept)
    return [text for text in told if text]


def _reason(request: ServiceRequest) -> str | None:
    words = [concept.words() for concept in request.reason_code] or [request.code.words()]
    return "; ".join(word for word in words if word) or None


def _case_number(bundle: Bundle) -> str | None:
    return _first(each.value for encounter in bundle.every(Encounter) for each in encounter.identifier)


def _focus(header: MessageHeader) -> Reference:
    return next(iter(header.focus), Reference())


def _address(endpoint: str) -> str:
    """Samples write the same system of service ids with http and with https."""
    return "https:" + endpoint[5:] if endpoint.startswith("http:") else endpoint


def _ods(organisation: Organization | None) -> str | None:
    found = organisation.identifier if organisation else ()
    return _first(each.value for each in found if each.system.lower() == ODS_CODE.lower())


def _first(texts: Any) -> str | None:
    return next((text for text in texts if text), None)


def _refuse(field: str, reason: str) -> NoReturn:
    raise Reject(f"{field}: {reason}", field=field, kind="fhir")
