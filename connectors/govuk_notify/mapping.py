"""From events to GOV.UK Notify's requests, and from its answers and callbacks to facts. Pure.

A message's `reference` is the id of the event that asked for it and the event's correlation id, `<id>/<case>`:
Notify gives it back with the receipt, which so finds its way into the case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from connectors.govuk_notify.records import DeliveryReceipt, InboundText, Sent
from hub.events.envelope import Envelope
from hub.events.generated.notifications import (
    EmailRequested,
    LetterRequested,
    MessageAccepted,
    MessageDelivered,
    MessageFailed,
    TextReceived,
    TextRequested,
)
from hub.events.model import EventData
from hub.sdk import Fact, Reject

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_REFERENCE = re.compile(rf"({_UUID})/({_UUID})")

#: Messages of the published API that hold nothing of what was sent; any other error is told by its kind alone.
_SAFE = re.compile(
    r"(phone_number|email_address|template_id|address_line_\d) (Not|Too|Must|is a)[a-z ]*(UK[a-z ]+)?"
    r"|Missing personalisation: [\w ,-]{1,200}|(Must be|Cannot send|Address|Last line of)[A-Za-z0-9 ,:/.-]*"
    r"|The (first|last)[A-Za-z0-9 ]*|Emails cannot be longer than [A-Za-z0-9 .]*"
    r"|Template not found|No result found|Internal server error|Service is not allowed to send [a-z]+"
    r"|Error: Your system clock must be accurate to within 30 seconds|Invalid token: [a-zA-Z0-9 ]+",
    re.ASCII,
)

_ENDS: dict[str, type[MessageDelivered | MessageFailed]] = {
    "delivered": MessageDelivered,
    "sent": MessageDelivered,  # texts to other countries: nothing more is heard of them
    "received": MessageDelivered,  # letters: handed to the post
    "permanent-failure": MessageFailed,
    "temporary-failure": MessageFailed,
    "technical-failure": MessageFailed,
}


def reference_of(envelope: Envelope) -> str:
    """The reference of the message for an event."""
    return f"{envelope.id}/{envelope.correlation_id}"


def to_request(data: EventData, template_id: str, reference: str) -> tuple[str, dict[str, Any]]:
    """The channel, in Notify's word for it, and the body of the request that sends a message."""
    body: dict[str, Any] = {"template_id": template_id, "reference": reference}
    match data:
        case EmailRequested():
            return "email", body | {
                "email_address": data.email_address,
                "personalisation": data.personalisation,
            }
        case TextRequested():
            return "sms", body | {"phone_number": data.phone_number, "personalisation": data.personalisation}
        case LetterRequested():
            if not 3 <= len(data.address) <= 7:
                raise Reject("address: must have three to seven lines", field="address")
            lines = {f"address_line_{number}": line for number, line in enumerate(data.address, 1)}
            return "letter", body | {"personalisation": {**data.personalisation, **lines}}
    raise Reject(f"{data.type} is no request for a message", field="type")


def to_outcome(answer: Mapping[str, Any], channel: str, at: datetime) -> dict[str, Any]:
    """What is kept of an answer to such a request, or of a message found later: no recipient, no content."""
    return {
        "id": answer["id"],
        "reference": answer["reference"],
        "type": channel,
        "template": {"id": answer["template"]["id"], "version": answer["template"]["version"]},
        "created_at": answer.get("created_at") or at.isoformat(),
    }


def accepted_facts(sent: Sent) -> Iterator[Fact]:
    """That Notify took a message."""
    request_id, case = _origin(sent.reference)
    data = MessageAccepted(
        notification_id=sent.id,
        request_id=request_id,
        channel=sent.type,
        template_id=sent.template.id,
        template_version=sent.template.version,
    )
    yield Fact(data, sent.id, sent.created_at, key=sent.id, correlation_id=case)


def receipt_facts(receipt: DeliveryReceipt) -> Iterator[Fact]:
    """That a message arrived, or did not. A temporary failure may be followed by another end."""
    model = _ENDS.get(receipt.status)
    if model is None:
        raise Reject("status: is not one that ends the sending of a message", field="status")
    request_id, case = _origin(receipt.reference or "")
    data = model(
        notification_id=receipt.id,
        request_id=request_id,
        channel=receipt.notification_type,
        status=receipt.status,
        template_id=receipt.template_id,
        template_version=receipt.template_version,
        sent_at=receipt.sent_at,
    )
    moment = receipt.completed_at or receipt.sent_at or receipt.created_at
    yield Fact(data, receipt.id, moment, key=f"{receipt.id}:{receipt.status}", correlation_id=case)


def text_facts(text: InboundText) -> Iterator[Fact]:
    """That somebody wrote to the council."""
    data = TextReceived(
        message_id=text.id,
        from_number=text.source_number,
        to_number=text.destination_number,
        message=text.message,
    )
    yield Fact(data, text.id, text.date_received, key=text.id)


def error_of(body: bytes) -> tuple[str, str]:
    """Kind and message of an error in Notify's shape, `{"errors": [{"error": …, "message": …}]}`; empty for others."""
    try:
        error = json.loads(body)["errors"][0]
        return str(error["error"]), str(error["message"])
    except (ValueError, RecursionError, LookupError, TypeError):
        return "", ""


def words(_: int, body: bytes) -> str:
    """What a refusal says, for people: its kind, and its message where that holds nothing of what was sent."""
    kind, message = error_of(body)
    kind = kind if kind.isalpha() and len(kind) < 40 else ""
    return f"{kind}: {message}" if kind and _SAFE.fullmatch(message) else kind


def _origin(reference: str) -> tuple[str | None, str]:
    """The event that asked for a message, and its case; nothing where the reference is not one of ours."""
    found = _REFERENCE.fullmatch(reference)
    return (found[1], found[2]) if found else (None, "")
