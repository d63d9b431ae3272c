"""Generated from schemas/care/ by `python -m hub.registry --write`: change the contracts, not this."""

from typing import ClassVar

from pydantic import Field

from hub.events.model import EventData, Timestamp


class ReferralAccepted(EventData):
    """The service took the person on, or told how far it has come with them."""

    type: ClassVar[str] = "care.referral.accepted"

    conversation_id: str = Field(
        description=(
            "What all messages about one referral share, as its sender gave it: BaRS's X-Correlation-Id, "
            "HL7's originating referral identifier (RF1-6)."
        ),
        json_schema_extra={"classification": "internal"},
    )
    message_id: str = Field(
        description=(
            "The message's own id, as its sender gave it: Bundle.id, MSH-10. BaRS keeps it in later "
            "messages about the same referral."
        ),
        json_schema_extra={"classification": "internal"},
    )
    version_at: Timestamp = Field(
        description=(
            "When this state of the referral was made at its sender: ServiceRequest.meta.lastUpdated, "
            "MSH-7. Messages overtake each other: a cancellation is final, and otherwise the newest "
            "version holds."
        ),
        json_schema_extra={"classification": "internal"},
    )
    sender_address: str = Field(
        description=(
            "Where an answer is sent: https://fhir.nhs.uk/Id/dos-service-id|<service> for FHIR, "
            "hl7:<application>|<facility> for HL7 v2."
        ),
        json_schema_extra={"classification": "internal"},
    )
    sender_organisation: str | None = Field(
        default=None,
        description="ODS code of the organisation that sent it. Null when it did not say.",
        json_schema_extra={"classification": "internal"},
    )
    sender_name: str | None = Field(
        default=None,
        description="Name of the organisation that sent it. Null when it did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_address: str = Field(
        description="Where it was sent to, in the form of sender_address.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_organisation: str | None = Field(
        default=None,
        description="ODS code of the organisation that it was sent to. Null when the sender did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_name: str | None = Field(
        default=None,
        description="Name of the organisation that it was sent to. Null when the sender did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_party: str = Field(
        description="The party of the hub behind the recipient's address.",
        json_schema_extra={"classification": "internal"},
    )
    nhs_number: str | None = Field(
        default=None,
        description="NHS number of the person, as ten digits where it has ten. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    nhs_number_sound: bool | None = Field(
        default=None,
        description=(
            "Whether the number has ten digits and the right check digit. A wrong one is passed on, for a "
            "person to look into. Null without a number."
        ),
        json_schema_extra={"classification": "personal"},
    )
    local_number: str | None = Field(
        default=None,
        description="The sender's own number of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    family_name: str | None = Field(
        default=None,
        description="Family name of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    given_names: str | None = Field(
        default=None,
        description="Given names of the person, separated by spaces. Null when none were given.",
        json_schema_extra={"classification": "personal"},
    )
    birth_date: str | None = Field(
        default=None,
        description="Date of birth, YYYY-MM-DD, YYYY-MM or YYYY. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    reference: str | None = Field(
        default=None,
        description="The sender's own number of the case, beside the conversation. Null when none was given.",
        json_schema_extra={"classification": "internal"},
    )
    request_id: str | None = Field(
        default=None,
        description=(
            "The message_id of the message that is answered, as far as the answer says: "
            "MessageHeader.response.identifier, MSA-2. Null when it does not."
        ),
        json_schema_extra={"classification": "internal"},
    )
    progress: str | None = Field(
        default=None,
        description=(
            "How far, in FHIR's words for an encounter: planned, arrived, triaged, in-progress, onleave "
            "or finished. Null when the service did not say."
        ),
        json_schema_extra={"classification": "special"},
    )
    note: str | None = Field(
        default=None,
        description="What the service wrote. Null when nothing.",
        json_schema_extra={"classification": "special"},
    )


class ReferralCancelled(EventData):
    """The sender withdrew a referral. Final: nothing that was sent before or after it about the same
    conversation counts any more.
    """

    type: ClassVar[str] = "care.referral.cancelled"

    conversation_id: str = Field(
        description=(
            "What all messages about one referral share, as its sender gave it: BaRS's X-Correlation-Id, "
            "HL7's originating referral identifier (RF1-6)."
        ),
        json_schema_extra={"classification": "internal"},
    )
    message_id: str = Field(
        description=(
            "The message's own id, as its sender gave it: Bundle.id, MSH-10. BaRS keeps it in later "
            "messages about the same referral."
        ),
        json_schema_extra={"classification": "internal"},
    )
    version_at: Timestamp = Field(
        description=(
            "When this state of the referral was made at its sender: ServiceRequest.meta.lastUpdated, "
            "MSH-7. Messages overtake each other: a cancellation is final, and otherwise the newest "
            "version holds."
        ),
        json_schema_extra={"classification": "internal"},
    )
    sender_address: str = Field(
        description=(
            "Where an answer is sent: https://fhir.nhs.uk/Id/dos-service-id|<service> for FHIR, "
            "hl7:<application>|<facility> for HL7 v2."
        ),
        json_schema_extra={"classification": "internal"},
    )
    sender_organisation: str | None = Field(
        default=None,
        description="ODS code of the organisation that sent it. Null when it did not say.",
        json_schema_extra={"classification": "internal"},
    )
    sender_name: str | None = Field(
        default=None,
        description="Name of the organisation that sent it. Null when it did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_address: str = Field(
        description="Where it was sent to, in the form of sender_address.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_organisation: str | None = Field(
        default=None,
        description="ODS code of the organisation that it was sent to. Null when the sender did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_name: str | None = Field(
        default=None,
        description="Name of the organisation that it was sent to. Null when the sender did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_party: str = Field(
        description="The party of the hub behind the recipient's address.",
        json_schema_extra={"classification": "internal"},
    )
    nhs_number: str | None = Field(
        default=None,
        description="NHS number of the person, as ten digits where it has ten. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    nhs_number_sound: bool | None = Field(
        default=None,
        description=(
            "Whether the number has ten digits and the right check digit. A wrong one is passed on, for a "
            "person to look into. Null without a number."
        ),
        json_schema_extra={"classification": "personal"},
    )
    local_number: str | None = Field(
        default=None,
        description="The sender's own number of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    family_name: str | None = Field(
        default=None,
        description="Family name of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    given_names: str | None = Field(
        default=None,
        description="Given names of the person, separated by spaces. Null when none were given.",
        json_schema_extra={"classification": "personal"},
    )
    birth_date: str | None = Field(
        default=None,
        description="Date of birth, YYYY-MM-DD, YYYY-MM or YYYY. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    reference: str | None = Field(
        default=None,
        description="The sender's own number of the case, beside the conversation. Null when none was given.",
        json_schema_extra={"classification": "internal"},
    )
    entered_in_error: bool = Field(
        description="True when the referral should never have been sent; false when it is no longer needed.",
        json_schema_extra={"classification": "internal"},
    )
    reason: str | None = Field(
        default=None,
        description="Why, in the sender's words. Null when none was given.",
        json_schema_extra={"classification": "special"},
    )


class ReferralRejected(EventData):
    """The service will not take the person on."""

    type: ClassVar[str] = "care.referral.rejected"

    conversation_id: str = Field(
        description=(
            "What all messages about one referral share, as its sender gave it: BaRS's X-Correlation-Id, "
            "HL7's originating referral identifier (RF1-6)."
        ),
        json_schema_extra={"classification": "internal"},
    )
    message_id: str = Field(
        description=(
            "The message's own id, as its sender gave it: Bundle.id, MSH-10. BaRS keeps it in later "
            "messages about the same referral."
        ),
        json_schema_extra={"classification": "internal"},
    )
    version_at: Timestamp = Field(
        description=(
            "When this state of the referral was made at its sender: ServiceRequest.meta.lastUpdated, "
            "MSH-7. Messages overtake each other: a cancellation is final, and otherwise the newest "
            "version holds."
        ),
        json_schema_extra={"classification": "internal"},
    )
    sender_address: str = Field(
        description=(
            "Where an answer is sent: https://fhir.nhs.uk/Id/dos-service-id|<service> for FHIR, "
            "hl7:<application>|<facility> for HL7 v2."
        ),
        json_schema_extra={"classification": "internal"},
    )
    sender_organisation: str | None = Field(
        default=None,
        description="ODS code of the organisation that sent it. Null when it did not say.",
        json_schema_extra={"classification": "internal"},
    )
    sender_name: str | None = Field(
        default=None,
        description="Name of the organisation that sent it. Null when it did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_address: str = Field(
        description="Where it was sent to, in the form of sender_address.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_organisation: str | None = Field(
        default=None,
        description="ODS code of the organisation that it was sent to. Null when the sender did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_name: str | None = Field(
        default=None,
        description="Name of the organisation that it was sent to. Null when the sender did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_party: str = Field(
        description="The party of the hub behind the recipient's address.",
        json_schema_extra={"classification": "internal"},
    )
    nhs_number: str | None = Field(
        default=None,
        description="NHS number of the person, as ten digits where it has ten. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    nhs_number_sound: bool | None = Field(
        default=None,
        description=(
            "Whether the number has ten digits and the right check digit. A wrong one is passed on, for a "
            "person to look into. Null without a number."
        ),
        json_schema_extra={"classification": "personal"},
    )
    local_number: str | None = Field(
        default=None,
        description="The sender's own number of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    family_name: str | None = Field(
        default=None,
        description="Family name of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    given_names: str | None = Field(
        default=None,
        description="Given names of the person, separated by spaces. Null when none were given.",
        json_schema_extra={"classification": "personal"},
    )
    birth_date: str | None = Field(
        default=None,
        description="Date of birth, YYYY-MM-DD, YYYY-MM or YYYY. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    reference: str | None = Field(
        default=None,
        description="The sender's own number of the case, beside the conversation. Null when none was given.",
        json_schema_extra={"classification": "internal"},
    )
    request_id: str | None = Field(
        default=None,
        description=(
            "The message_id of the message that is answered, as far as the answer says: "
            "MessageHeader.response.identifier, MSA-2. Null when it does not."
        ),
        json_schema_extra={"classification": "internal"},
    )
    reason: str | None = Field(
        default=None,
        description="Why, in the service's words. Null when none was given.",
        json_schema_extra={"classification": "special"},
    )


class ReferralRequested(EventData):
    """Someone asked adult social care, or another service, to take on a person."""

    type: ClassVar[str] = "care.referral.requested"

    conversation_id: str = Field(
        description=(
            "What all messages about one referral share, as its sender gave it: BaRS's X-Correlation-Id, "
            "HL7's originating referral identifier (RF1-6)."
        ),
        json_schema_extra={"classification": "internal"},
    )
    message_id: str = Field(
        description=(
            "The message's own id, as its sender gave it: Bundle.id, MSH-10. BaRS keeps it in later "
            "messages about the same referral."
        ),
        json_schema_extra={"classification": "internal"},
    )
    version_at: Timestamp = Field(
        description=(
            "When this state of the referral was made at its sender: ServiceRequest.meta.lastUpdated, "
            "MSH-7. Messages overtake each other: a cancellation is final, and otherwise the newest "
            "version holds."
        ),
        json_schema_extra={"classification": "internal"},
    )
    sender_address: str = Field(
        description=(
            "Where an answer is sent: https://fhir.nhs.uk/Id/dos-service-id|<service> for FHIR, "
            "hl7:<application>|<facility> for HL7 v2."
        ),
        json_schema_extra={"classification": "internal"},
    )
    sender_organisation: str | None = Field(
        default=None,
        description="ODS code of the organisation that sent it. Null when it did not say.",
        json_schema_extra={"classification": "internal"},
    )
    sender_name: str | None = Field(
        default=None,
        description="Name of the organisation that sent it. Null when it did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_address: str = Field(
        description="Where it was sent to, in the form of sender_address.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_organisation: str | None = Field(
        default=None,
        description="ODS code of the organisation that it was sent to. Null when the sender did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_name: str | None = Field(
        default=None,
        description="Name of the organisation that it was sent to. Null when the sender did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_party: str = Field(
        description="The party of the hub behind the recipient's address.",
        json_schema_extra={"classification": "internal"},
    )
    nhs_number: str | None = Field(
        default=None,
        description="NHS number of the person, as ten digits where it has ten. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    nhs_number_sound: bool | None = Field(
        default=None,
        description=(
            "Whether the number has ten digits and the right check digit. A wrong one is passed on, for a "
            "person to look into. Null without a number."
        ),
        json_schema_extra={"classification": "personal"},
    )
    local_number: str | None = Field(
        default=None,
        description="The sender's own number of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    family_name: str | None = Field(
        default=None,
        description="Family name of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    given_names: str | None = Field(
        default=None,
        description="Given names of the person, separated by spaces. Null when none were given.",
        json_schema_extra={"classification": "personal"},
    )
    birth_date: str | None = Field(
        default=None,
        description="Date of birth, YYYY-MM-DD, YYYY-MM or YYYY. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    gender: str | None = Field(
        default=None,
        description=(
            "Administrative gender: male, female, other or unknown, as in FHIR. Null when none was given."
        ),
        json_schema_extra={"classification": "personal"},
    )
    address: str | None = Field(
        default=None,
        description=(
            "Postal address without its postcode, one line after another, separated by commas. Null when "
            "none was given."
        ),
        json_schema_extra={"classification": "personal"},
    )
    postcode: str | None = Field(
        default=None,
        description=(
            "Postcode of the address, in capitals with its one space where it has a postcode's shape. "
            "Null when none was given."
        ),
        json_schema_extra={"classification": "personal"},
    )
    phone: str | None = Field(
        default=None,
        description="A telephone number of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    category: str = Field(
        description=(
            "What is asked for, in the sender's own code: referral or validation in BaRS, RF1-3 in HL7."
        ),
        json_schema_extra={"classification": "special"},
    )
    priority: str | None = Field(
        default=None,
        description="How soon: routine, urgent, asap or stat. Null when the sender did not say.",
        json_schema_extra={"classification": "special"},
    )
    reason: str | None = Field(
        default=None,
        description="Why the person is referred, in the sender's words. Null when none was given.",
        json_schema_extra={"classification": "special"},
    )
    summary: str | None = Field(
        default=None,
        description=(
            "What the sender wrote down about the person and the need: notes and care plan. Null when "
            "nothing was."
        ),
        json_schema_extra={"classification": "special"},
    )
    starts_at: Timestamp | None = Field(
        default=None,
        description="From when the service is asked for. Null when the sender did not say.",
        json_schema_extra={"classification": "special"},
    )
    ends_at: Timestamp | None = Field(
        default=None,
        description="Until when. Null when the sender did not say.",
        json_schema_extra={"classification": "special"},
    )
    reference: str | None = Field(
        default=None,
        description="The sender's own number of the case, beside the conversation. Null when none was given.",
        json_schema_extra={"classification": "internal"},
    )


class ReferralUndelivered(EventData):
    """A message about a referral was left in a mailbox and not collected, or could not be put there. The
    partner does not know of it.
    """

    type: ClassVar[str] = "care.referral.undelivered"

    mailbox_message_id: str = Field(
        description="The mailbox's id of the message.",
        json_schema_extra={"classification": "internal"},
    )
    event_id: str | None = Field(
        default=None,
        description="The event that the message was made of. Null when the report does not name it.",
        json_schema_extra={"classification": "internal"},
    )
    about_conversation_id: str | None = Field(
        default=None,
        description="The referral's conversation. Null when the report does not name it.",
        json_schema_extra={"classification": "internal"},
    )
    author_party: str | None = Field(
        default=None,
        description="The party whose event did not arrive. Null when the report does not name it.",
        json_schema_extra={"classification": "internal"},
    )
    mailbox_id: str = Field(
        description="The mailbox that it was meant for.",
        json_schema_extra={"classification": "internal"},
    )
    workflow: str | None = Field(
        default=None,
        description="Workflow id that it was sent under. Null when the report does not name it.",
        json_schema_extra={"classification": "internal"},
    )
    code: str = Field(
        description="The mailbox system's code: 14 for not collected within five days.",
        json_schema_extra={"classification": "internal"},
    )
    description: str | None = Field(
        default=None,
        description="The mailbox system's own words for it. Null when it has none.",
        json_schema_extra={"classification": "internal"},
    )
    failed_at: Timestamp = Field(
        description="When it was given up.",
        json_schema_extra={"classification": "internal"},
    )


class ReferralUpdated(EventData):
    """The sender changed a referral; holds all of it, not the difference."""

    type: ClassVar[str] = "care.referral.updated"

    conversation_id: str = Field(
        description=(
            "What all messages about one referral share, as its sender gave it: BaRS's X-Correlation-Id, "
            "HL7's originating referral identifier (RF1-6)."
        ),
        json_schema_extra={"classification": "internal"},
    )
    message_id: str = Field(
        description=(
            "The message's own id, as its sender gave it: Bundle.id, MSH-10. BaRS keeps it in later "
            "messages about the same referral."
        ),
        json_schema_extra={"classification": "internal"},
    )
    version_at: Timestamp = Field(
        description=(
            "When this state of the referral was made at its sender: ServiceRequest.meta.lastUpdated, "
            "MSH-7. Messages overtake each other: a cancellation is final, and otherwise the newest "
            "version holds."
        ),
        json_schema_extra={"classification": "internal"},
    )
    sender_address: str = Field(
        description=(
            "Where an answer is sent: https://fhir.nhs.uk/Id/dos-service-id|<service> for FHIR, "
            "hl7:<application>|<facility> for HL7 v2."
        ),
        json_schema_extra={"classification": "internal"},
    )
    sender_organisation: str | None = Field(
        default=None,
        description="ODS code of the organisation that sent it. Null when it did not say.",
        json_schema_extra={"classification": "internal"},
    )
    sender_name: str | None = Field(
        default=None,
        description="Name of the organisation that sent it. Null when it did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_address: str = Field(
        description="Where it was sent to, in the form of sender_address.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_organisation: str | None = Field(
        default=None,
        description="ODS code of the organisation that it was sent to. Null when the sender did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_name: str | None = Field(
        default=None,
        description="Name of the organisation that it was sent to. Null when the sender did not say.",
        json_schema_extra={"classification": "internal"},
    )
    recipient_party: str = Field(
        description="The party of the hub behind the recipient's address.",
        json_schema_extra={"classification": "internal"},
    )
    nhs_number: str | None = Field(
        default=None,
        description="NHS number of the person, as ten digits where it has ten. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    nhs_number_sound: bool | None = Field(
        default=None,
        description=(
            "Whether the number has ten digits and the right check digit. A wrong one is passed on, for a "
            "person to look into. Null without a number."
        ),
        json_schema_extra={"classification": "personal"},
    )
    local_number: str | None = Field(
        default=None,
        description="The sender's own number of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    family_name: str | None = Field(
        default=None,
        description="Family name of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    given_names: str | None = Field(
        default=None,
        description="Given names of the person, separated by spaces. Null when none were given.",
        json_schema_extra={"classification": "personal"},
    )
    birth_date: str | None = Field(
        default=None,
        description="Date of birth, YYYY-MM-DD, YYYY-MM or YYYY. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    gender: str | None = Field(
        default=None,
        description=(
            "Administrative gender: male, female, other or unknown, as in FHIR. Null when none was given."
        ),
        json_schema_extra={"classification": "personal"},
    )
    address: str | None = Field(
        default=None,
        description=(
            "Postal address without its postcode, one line after another, separated by commas. Null when "
            "none was given."
        ),
        json_schema_extra={"classification": "personal"},
    )
    postcode: str | None = Field(
        default=None,
        description=(
            "Postcode of the address, in capitals with its one space where it has a postcode's shape. "
            "Null when none was given."
        ),
        json_schema_extra={"classification": "personal"},
    )
    phone: str | None = Field(
        default=None,
        description="A telephone number of the person. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    category: str = Field(
        description=(
            "What is asked for, in the sender's own code: referral or validation in BaRS, RF1-3 in HL7."
        ),
        json_schema_extra={"classification": "special"},
    )
    priority: str | None = Field(
        default=None,
        description="How soon: routine, urgent, asap or stat. Null when the sender did not say.",
        json_schema_extra={"classification": "special"},
    )
    reason: str | None = Field(
        default=None,
        description="Why the person is referred, in the sender's words. Null when none was given.",
        json_schema_extra={"classification": "special"},
    )
    summary: str | None = Field(
        default=None,
        description=(
            "What the sender wrote down about the person and the need: notes and care plan. Null when "
            "nothing was."
        ),
        json_schema_extra={"classification": "special"},
    )
    starts_at: Timestamp | None = Field(
        default=None,
        description="From when the service is asked for. Null when the sender did not say.",
        json_schema_extra={"classification": "special"},
    )
    ends_at: Timestamp | None = Field(
        default=None,
        description="Until when. Null when the sender did not say.",
        json_schema_extra={"classification": "special"},
    )
    reference: str | None = Field(
        default=None,
        description="The sender's own number of the case, beside the conversation. Null when none was given.",
        json_schema_extra={"classification": "internal"},
    )
