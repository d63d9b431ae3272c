"""What GOV.UK Notify says: names and meanings as in its API and callbacks (alphagov/notifications-tech-docs)."""

from __future__ import annotations

from pydantic import AwareDatetime, Field

from hub.sdk import Record


class Template(Record):
    """Which template, and which version of it, a message was made from."""

    id: str
    version: int


class Sent(Record):
    """A message that Notify took: what is kept of its answer, without recipient and content."""

    id: str = Field(min_length=1)
    reference: str
    type: str
    template: Template
    created_at: AwareDatetime


class DeliveryReceipt(Record):
    """A callback that tells how sending ended. Whom it was sent to is in it, and is not read."""

    id: str = Field(min_length=1)
    reference: str | None = None
    status: str
    notification_type: str
    template_id: str
    template_version: int
    created_at: AwareDatetime
    sent_at: AwareDatetime | None = None
    completed_at: AwareDatetime | None = None


class InboundText(Record):
    """A callback with a text message to a number of the service."""

    id: str = Field(min_length=1)
    source_number: str
    destination_number: str
    message: str
    date_received: AwareDatetime
