"""From a letter in the mailbox to facts, and from an event to a letter. Pure.

A letter is a FHIR message bundle or an HL7 v2 message, read and written by `connectors.care_messages`; or MESH's own
report, empty but for its headers, that a message of ours did not arrive.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from pydantic import ValidationError

from connectors.care_messages import bundles, hl7, write_fhir
from connectors.care_messages.canonical import Referral, fact, is_hl7
from connectors.care_messages.fhir import Bundle
from connectors.care_messages.record import Hl7Record
from connectors.care_messages.settings import CareSettings
from hub.events.generated.care import ReferralUndelivered
from hub.sdk import Fact, Letter, MllpSink, Record, Reject
from hub.sdk.connector import reject_from


class Report(Record):
    """The headers of a report, by their lower-case names."""

    headers: dict[str, str]


class MeshRecord(Record):
    """What a letter holds: one of the three."""

    content: Bundle | Hl7Record | Report


def read(body: bytes, headers: Mapping[str, str]) -> MeshRecord:
    """By the control headers and the first bytes. Raises Reject that names what is wrong."""
    if headers.get("mex-messagetype", "DATA").upper() == "REPORT":
        return MeshRecord(content=Report(headers=dict(headers)))
    if body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"MSH"):
        return MeshRecord(content=Hl7Record.of(body.lstrip()))
    try:
        return MeshRecord(content=Bundle.model_validate_json(body))
    except ValidationError as error:
        raise reject_from(error) from None


def facts(record: MeshRecord, settings: CareSettings) -> Fact:
    """The one fact of a letter."""
    content = record.content
    if isinstance(content, Report):
        return undelivered(content.headers)
    told = bundles.read(content) if isinstance(content, Bundle) else hl7.read(content.message)
    return fact(told, settings.partners, settings.organisation)


def undelivered(headers: Mapping[str, str]) -> Fact:
    """A report as a fact. `Mex-Subject` is ours: the author's party and the conversation (`letter` writes it)."""
    linked, code = headers.get("mex-linkedmsgid", ""), headers.get("mex-statuscode", "")
    for name, value in (("Mex-LinkedMsgID", linked), ("Mex-StatusCode", code)):
        if not value:
            raise Reject(f"{name}: the report does not have it", field=name, kind="mesh")
    party, _, subject = headers.get("mex-subject", "").partition(" ")
    conversation = unquote(subject)
    when = _moment(headers.get("mex-statustimestamp", ""))
    data = ReferralUndelivered(
        mailbox_message_id=linked,
        event_id=headers.get("mex-localid", "").partition(".")[0] or None,  # `.2`: sent a second time
        about_conversation_id=conversation or None,
        author_party=party if conversation else None,
        mailbox_id=headers.get("mex-to", ""),
        workflow=headers.get("mex-workflowid") or None,
        code=code,
        description=headers.get("mex-statusdescription") or None,
        failed_at=when,
    )
    return Fact(data, subject=conversation or linked, time=when, key=f"{linked}:{code}")


def letter(event: Referral, key: str, author: str, hl7_version: str) -> Letter:
    """In the language of the address; the subject holds no personal data, and comes back with a report."""
    if is_hl7(event.recipient_address):
        body = hl7.write(event, MllpSink.control_id(key), hl7_version)
    else:
        body = write_fhir.bundle(event, key)
    return Letter(body, {"Mex-Subject": f"{author} {quote(event.conversation_id, safe='')}"[:500]})


def _moment(text: str) -> datetime:
    """yyyyMMddHHmmss, in UTC."""
    if re.fullmatch(r"\d{14}", text, re.ASCII):
        try:
            return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        except ValueError:
            pass
    raise Reject("Mex-StatusTimestamp: is not yyyyMMddHHmmss", field="Mex-StatusTimestamp", kind="mesh")
