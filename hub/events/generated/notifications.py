"""Generated from schemas/notifications/ by `python -m hub.registry --write`: change the contracts, not this."""

from typing import ClassVar

from pydantic import Field

from hub.events.model import EventData, Long, Timestamp


class EmailRequested(EventData):
    """An email is to be sent from a template."""

    type: ClassVar[str] = "notifications.email.requested"

    template: str = Field(
        description="Name of the template, as the configuration of the council's Notify service knows it.",
        json_schema_extra={"classification": "internal"},
    )
    email_address: str = Field(
        description="Whom it goes to.",
        json_schema_extra={"classification": "personal"},
    )
    personalisation: dict[str, str] = Field(
        default_factory=dict,
        description="What the template's placeholders are filled with.",
        json_schema_extra={"classification": "personal"},
    )


class LetterRequested(EventData):
    """A letter is to be printed and posted from a template."""

    type: ClassVar[str] = "notifications.letter.requested"

    template: str = Field(
        description="Name of the template, as the configuration of the council's Notify service knows it.",
        json_schema_extra={"classification": "internal"},
    )
    address: list[str] = Field(
        description=(
            "Name and address, three to seven lines; the last one holds the postcode, or the country."
        ),
        json_schema_extra={"classification": "personal"},
    )
    personalisation: dict[str, str] = Field(
        default_factory=dict,
        description="What the template's placeholders are filled with.",
        json_schema_extra={"classification": "personal"},
    )


class MessageAccepted(EventData):
    """GOV.UK Notify took a message over and will send it. Says nothing of whom it goes to."""

    type: ClassVar[str] = "notifications.message.accepted"

    notification_id: str = Field(
        description="GOV.UK Notify's id of the message.",
        json_schema_extra={"classification": "internal"},
    )
    request_id: str | None = Field(
        default=None,
        description=(
            "Id of the event that asked for the message. Null for one that was sent through the same "
            "service by another way than the hub."
        ),
        json_schema_extra={"classification": "internal"},
    )
    channel: str = Field(
        description="email, sms or letter.",
        json_schema_extra={"classification": "internal"},
    )
    template_id: str = Field(
        description="GOV.UK Notify's id of the template.",
        json_schema_extra={"classification": "internal"},
    )
    template_version: Long = Field(
        description="Version of the template that was sent.",
        json_schema_extra={"classification": "internal"},
    )


class MessageDelivered(EventData):
    """A message arrived."""

    type: ClassVar[str] = "notifications.message.delivered"

    notification_id: str = Field(
        description="GOV.UK Notify's id of the message.",
        json_schema_extra={"classification": "internal"},
    )
    request_id: str | None = Field(
        default=None,
        description=(
            "Id of the event that asked for the message. Null for one that was sent through the same "
            "service by another way than the hub."
        ),
        json_schema_extra={"classification": "internal"},
    )
    channel: str = Field(
        description="email, sms or letter.",
        json_schema_extra={"classification": "internal"},
    )
    status: str = Field(
        description="In Notify's words: delivered, or sent (a text abroad, of which no more is heard).",
        json_schema_extra={"classification": "internal"},
    )
    template_id: str = Field(
        description="GOV.UK Notify's id of the template.",
        json_schema_extra={"classification": "internal"},
    )
    template_version: Long = Field(
        description="Version of the template that was sent.",
        json_schema_extra={"classification": "internal"},
    )
    sent_at: Timestamp | None = Field(
        default=None,
        description="When it left Notify. Null when Notify did not say.",
        json_schema_extra={"classification": "internal"},
    )


class MessageFailed(EventData):
    """A message did not arrive."""

    type: ClassVar[str] = "notifications.message.failed"

    notification_id: str = Field(
        description="GOV.UK Notify's id of the message.",
        json_schema_extra={"classification": "internal"},
    )
    request_id: str | None = Field(
        default=None,
        description=(
            "Id of the event that asked for the message. Null for one that was sent through the same "
            "service by another way than the hub."
        ),
        json_schema_extra={"classification": "internal"},
    )
    channel: str = Field(
        description="email, sms or letter.",
        json_schema_extra={"classification": "internal"},
    )
    status: str = Field(
        description=(
            "In Notify's words: permanent-failure (there is no such address or number), temporary-failure "
            "(a full mailbox, a telephone that is off) or technical-failure (Notify could not hand it "
            "on)."
        ),
        json_schema_extra={"classification": "internal"},
    )
    template_id: str = Field(
        description="GOV.UK Notify's id of the template.",
        json_schema_extra={"classification": "internal"},
    )
    template_version: Long = Field(
        description="Version of the template that was sent.",
        json_schema_extra={"classification": "internal"},
    )
    sent_at: Timestamp | None = Field(
        default=None,
        description="When it left Notify. Null when Notify did not say.",
        json_schema_extra={"classification": "internal"},
    )


class TextReceived(EventData):
    """Somebody sent a text message to the council's number."""

    type: ClassVar[str] = "notifications.text.received"

    message_id: str = Field(
        description="GOV.UK Notify's id of the text.",
        json_schema_extra={"classification": "internal"},
    )
    from_number: str = Field(
        description="The number it came from, in international form without plus.",
        json_schema_extra={"classification": "personal"},
    )
    to_number: str = Field(
        description="The council's number.",
        json_schema_extra={"classification": "internal"},
    )
    message: str = Field(
        description="What it says. Treated as special, since people may write anything.",
        json_schema_extra={"classification": "special"},
    )


class TextRequested(EventData):
    """A text message is to be sent from a template."""

    type: ClassVar[str] = "notifications.text.requested"

    template: str = Field(
        description="Name of the template, as the configuration of the council's Notify service knows it.",
        json_schema_extra={"classification": "internal"},
    )
    phone_number: str = Field(
        description="The mobile number it goes to, as people write it.",
        json_schema_extra={"classification": "personal"},
    )
    personalisation: dict[str, str] = Field(
        default_factory=dict,
        description="What the template's placeholders are filled with.",
        json_schema_extra={"classification": "personal"},
    )
