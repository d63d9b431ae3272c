"""Messages for simulators and tests, from the fixtures: one referral's life, under ids of its own."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

from connectors.care_messages import bundles
from connectors.care_messages.canonical import Referral, fact
from connectors.care_messages.fhir import Bundle

FIXTURES = Path(__file__).parent / "fixtures"
#: Addresses of the two partners in the fixtures.
HOSPITAL = "https://fhir.nhs.uk/Id/dos-service-id|2000000201"
COUNCIL = "https://fhir.nhs.uk/Id/dos-service-id|2000000302"
WARD = "hl7:WARDDESK|ST%20EBBA"
DESK = "hl7:LIQUID|EXAMPLE%20COUNCIL"
#: DOS service ids under which BaRS knows the two that speak HL7 v2.
SERVICE_IDS = {WARD: "2000000403", DESK: COUNCIL.rpartition("|")[2]}


@dataclass
class Conversation:
    """One referral: its ids, and the moment from which its versions count (in UTC)."""

    begun: datetime
    correlation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    bundle_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def bundle(self, fixture: str, after_s: float = 0) -> bytes:
        """A fixture as a message of this conversation, of a version so many seconds after its beginning."""
        told = json.loads((FIXTURES / f"{fixture}.json").read_bytes())
        answer = fixture.startswith("response")
        told["id"] = str(uuid.uuid4()) if answer else self.bundle_id
        moment = (self.begun + timedelta(seconds=after_s)).isoformat()
        told["meta"]["lastUpdated"] = told["timestamp"] = moment
        for entry in told["entry"]:
            resource = entry["resource"]
            if resource["resourceType"] in ("MessageHeader", "ServiceRequest", "Encounter"):
                resource["meta"]["lastUpdated"] = moment
            if answer and "response" in resource:
                resource["response"]["identifier"] = self.bundle_id
        return json.dumps(told, ensure_ascii=False).encode()

    def hl7(self, fixture: str, after_s: float = 0, control_id: str = "") -> bytes:
        """The same for HL7 v2."""
        text = (FIXTURES / f"{fixture}.hl7").read_bytes().decode()
        segments = [segment.split("|") for segment in text.split("\r")]
        moment = self.begun + timedelta(seconds=after_s)
        segments[0][6] = moment.strftime("%Y%m%d%H%M%S") + f".{moment.microsecond // 100:04}+0000"
        segments[0][9] = control_id or uuid.uuid4().hex[:20].upper()
        for segment in segments:
            if segment[0] == "RF1":
                segment[6] = f"{self.correlation_id}^ST EBBA"
        return "\r".join("|".join(segment) for segment in segments).encode()


def events() -> tuple[Referral, ...]:
    """One event of every kind, of one referral."""
    partners = {HOSPITAL: "rxx", COUNCIL: "E08000025"}
    names = ("request_new", "request_update", "request_cancel", "response_accepted", "response_rejected")
    bodies = ((FIXTURES / f"{name}.json").read_bytes() for name in names)
    told = (fact(bundles.read(Bundle.model_validate_json(body)), partners).data for body in bodies)
    return tuple(cast("Referral", data) for data in told)


def resource(bundle: dict[str, Any], kind: str) -> dict[str, Any]:
    """The first resource of a kind; empty if there is none."""
    found = (entry["resource"] for entry in bundle["entry"] if entry["resource"]["resourceType"] == kind)
    return next(found, {})
