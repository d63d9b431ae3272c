"""BaRS beside its bundles: the headers of a request, and answers as OperationOutcomes. Pure.

What the messages themselves say is read and written by `connectors.care_messages`. Source: BaRS 1.4.0.
"""

from __future__ import annotations

import json
import re
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from connectors.care_messages.bundles import ODS_CODE, correlation
from connectors.care_messages.canonical import SERVICE_ID, Referral, Told, is_service
from connectors.care_messages.write_fhir import kind_and_reason
from connectors.care_referrals.config import Config
from hub.sdk import Reject

FHIR_JSON = "application/fhir+json"
MIRRORED = ("x-request-id", "x-correlation-id")

_CODES = {
    400: "BAD_REQUEST",
    401: "UNAUTHORIZED",
    409: "CONFLICT",
    413: "BAD_REQUEST",
    422: "UNPROCESSABLE_ENTITY",
}
_ISSUES = {400: "required", 401: "security", 409: "duplicate", 413: "too-long", 422: "invariant"}
_CODE = re.compile(r"[A-Z_]{3,40}|[a-z-]{3,40}", re.ASCII)


def check_headers(headers: Mapping[str, str]) -> None:
    """Raises Reject for ids that are missing or no UUIDs, and for a target that cannot be read."""
    for name in ("X-Request-Id", "X-Correlation-Id"):
        try:
            uuid.UUID(headers.get(name.lower(), ""))
        except ValueError:
            raise Reject(f"{name}: is missing or no UUID", field=name, kind="required") from None
    name = "NHSD-Target-Identifier"
    try:
        target = json.loads(b64decode(headers.get(name.lower(), ""), validate=True))
        known = isinstance(target, dict) and target.get("value") and target.get("system")
    except (ValueError, RecursionError):
        known = False
    if not known:
        raise Reject(f"{name}: is missing or not base64 of a service id", field=name, kind="value")


def between_services(event: Referral, ids: Mapping[str, str]) -> Referral:
    """The event as the proxy can route it and its answer: each HL7 address by the DOS service id that it has in
    `ids`. Raises Reject where it has none."""
    sender = _service("sender_address", event.sender_address, ids)
    recipient = _service("recipient_address", event.recipient_address, ids)
    return event.model_copy(update={"sender_address": sender, "recipient_address": recipient})


def _service(name: str, address: str, ids: Mapping[str, str]) -> str:
    if is_service(address):
        return address
    if address not in ids:
        raise Reject(
            f"{name}: has no DOS service id: check `service_ids`", field=name, kind="unknown-service"
        )
    return f"{SERVICE_ID}|{ids[address]}"


def between_systems(told: Told, config: Config) -> Told:
    """The other way round: a message to a service that stands for an HL7 system of ours is for that system, and comes
    from the partner as that system knows it."""
    sender, recipient = told.values["sender_address"], told.values["recipient_address"]
    system = _system(recipient, config.partners, config.service_ids)
    if recipient in config.partners or system == recipient:
        return told
    known = {"sender_address": _system(sender, config.addresses, config.service_ids)}
    return replace(told, values={**told.values, **known, "recipient_address": system})


def _system(service: str, among: Iterable[str], ids: Mapping[str, str]) -> str:
    systems = {f"{SERVICE_ID}|{ids[address]}": address for address in among if address in ids}
    return systems.get(service, service)


def request_headers(event: Referral, key: str) -> dict[str, str]:
    """The headers of a message: the same at every attempt, so that a repeat is known for one."""
    system, _, service = event.recipient_address.rpartition("|")
    organisation = {
        "resourceType": "Organization",
        "identifier": [{"system": ODS_CODE, "value": event.sender_organisation or ""}],
        "name": event.sender_name or "",
    }
    software = {
        "resourceType": "Device",
        "deviceName": [{"name": "integration-hub", "type": "user-friendly-name"}],
    }
    kind, reason = kind_and_reason(event)
    return {
        "Content-Type": f"{FHIR_JSON}; version=1.4.0",
        "Accept": f"{FHIR_JSON}; version=1.4.0",
        "X-Request-Id": key,
        "X-Correlation-Id": correlation(event.conversation_id),
        "NHSD-Target-Identifier": encoded({"value": service, "system": system}),
        "NHSD-End-User-Organisation": encoded(organisation),
        "NHSD-Requesting-Software": encoded(software),
        "use-context": f"a1t1|referral|{kind}|{reason}",
    }


def encoded(value: Any) -> str:
    """A header's value: base64 of JSON."""
    return b64encode(json.dumps(value).encode()).decode()


def mirrored(headers: Mapping[str, str]) -> dict[str, str]:
    """The ids of a request, to be sent back with its answer."""
    return {name: headers[name] for name in MIRRORED if name in headers}


def outcome(status: int, diagnostics: str) -> dict[str, Any]:
    """An OperationOutcome of the receiver for a status; `REC_` says that it was not the proxy."""
    if status < 300:
        issue = {"severity": "information", "code": "informational"}
        code = "RESOURCE_CREATED"
    else:
        kind = "transient" if status >= 500 else _ISSUES.get(status, "processing")
        issue = {"severity": "error", "code": kind}
        code = "REC_" + (_CODES.get(status) or ("SERVICE_UNAVAILABLE" if status == 503 else "SERVER_ERROR"))
    system = "https://fhir.nhs.uk/Codesystem/http-error-codes"
    details = {"coding": [{"system": system, "code": code}]}
    return {
        "resourceType": "OperationOutcome",
        "meta": {"profile": ["https://fhir.hl7.org.uk/StructureDefinition/UKCore-OperationOutcome"]},
        "issue": [issue | {"details": details, "diagnostics": diagnostics}],
    }


def issues(body: bytes) -> list[str]:
    """The codes of an OperationOutcome (`REC_CONFLICT`, `duplicate`), and none of its prose, which may hold
    personal data; empty for what is no OperationOutcome."""
    try:
        told = json.loads(body)
        found = told["issue"] if told["resourceType"] == "OperationOutcome" else []
        codes = [code for issue in found for code in (*_details(issue), issue.get("code"))]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return []
    return [code for code in codes if isinstance(code, str) and _CODE.fullmatch(code)]


def _details(issue: Any) -> list[Any]:
    return [coding.get("code") for coding in (issue.get("details") or {}).get("coding") or []]


def capabilities(name: str) -> dict[str, Any]:
    """The CapabilityStatement: this server takes messages, and nothing else."""
    events = ("servicerequest-request", "servicerequest-response")
    definition = "https://fhir.nhs.uk/MessageDefinition/bars-message-{}-referral"
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-01-01",
        "kind": "instance",
        "software": {"name": "integration-hub"},
        "implementation": {"description": f"BaRS receiver of {name}"},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "operation": [
                    {
                        "name": "process-message",
                        "definition": "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message",
                    }
                ],
            }
        ],
        "messaging": [
            {
                "supportedMessage": [
                    {"mode": mode, "definition": definition.format(event)}
                    for event in events
                    for mode in ("receiver", "sender")
                ]
            }
        ],
    }
