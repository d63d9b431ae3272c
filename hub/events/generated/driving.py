"""Generated from schemas/driving/ by `python -m hub.registry --write`: change the contracts, not this."""

from typing import ClassVar

from pydantic import Field

from hub.events.model import EventData, Long


class LicenceChanged(EventData):
    """What DVLA holds of a driver whom a council licenses is no longer what it was: status, entitlements or
    endorsements.
    """

    type: ClassVar[str] = "driving.licence.changed"

    council: str = Field(
        description="GSS code of the council that licenses the driver, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description=(
            "The council's reference of the taxi or private-hire licence that the driver holds. The "
            "driving licence number stays out of events."
        ),
        json_schema_extra={"classification": "internal"},
    )
    licence_type: str = Field(
        description="In DVLA's words: Full or Provisional. New words may come.",
        json_schema_extra={"classification": "personal"},
    )
    licence_status: str = Field(
        description="In DVLA's words: Valid, Disqualified, Revoked and others. New words may come.",
        json_schema_extra={"classification": "personal"},
    )
    disqualified: bool = Field(
        description="Whether the driver may not drive for now, by order of a court.",
        json_schema_extra={"classification": "special"},
    )
    disqualified_until: str | None = Field(
        default=None,
        description="Date, YYYY-MM-DD, on which a disqualification ends. Null without one, or for life.",
        json_schema_extra={"classification": "special"},
    )
    disqualified_for_life: bool = Field(
        default=False,
        description="Whether the disqualification has no end.",
        json_schema_extra={"classification": "special"},
    )
    valid_until: str | None = Field(
        default=None,
        description="Date, YYYY-MM-DD, until which the licence is valid. Null when DVLA did not say.",
        json_schema_extra={"classification": "personal"},
    )
    entitlements: list[str] = Field(
        default_factory=list,
        description=(
            "Codes of the categories that may be driven on that day, in order, such as B or D1; "
            "provisional ones are left out."
        ),
        json_schema_extra={"classification": "personal"},
    )
    offence_codes: list[str] = Field(
        default_factory=list,
        description=(
            "Codes of the endorsed offences, such as SP30, in order; one that comes twice stands twice."
        ),
        json_schema_extra={"classification": "special"},
    )
    penalty_points: Long = Field(
        default=0,
        description="Sum of the points of all endorsements.",
        json_schema_extra={"classification": "special"},
    )


class LicenceDisqualified(EventData):
    """A driver whom a council licenses is disqualified, or was when DVLA was first asked."""

    type: ClassVar[str] = "driving.licence.disqualified"

    council: str = Field(
        description="GSS code of the council that licenses the driver, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description=(
            "The council's reference of the taxi or private-hire licence that the driver holds. The "
            "driving licence number stays out of events."
        ),
        json_schema_extra={"classification": "internal"},
    )
    licence_type: str = Field(
        description="In DVLA's words: Full or Provisional. New words may come.",
        json_schema_extra={"classification": "personal"},
    )
    licence_status: str = Field(
        description="In DVLA's words: Valid, Disqualified, Revoked and others. New words may come.",
        json_schema_extra={"classification": "personal"},
    )
    disqualified: bool = Field(
        description="Whether the driver may not drive for now, by order of a court.",
        json_schema_extra={"classification": "special"},
    )
    disqualified_until: str | None = Field(
        default=None,
        description="Date, YYYY-MM-DD, on which a disqualification ends. Null without one, or for life.",
        json_schema_extra={"classification": "special"},
    )
    disqualified_for_life: bool = Field(
        default=False,
        description="Whether the disqualification has no end.",
        json_schema_extra={"classification": "special"},
    )
    valid_until: str | None = Field(
        default=None,
        description="Date, YYYY-MM-DD, until which the licence is valid. Null when DVLA did not say.",
        json_schema_extra={"classification": "personal"},
    )
    entitlements: list[str] = Field(
        default_factory=list,
        description=(
            "Codes of the categories that may be driven on that day, in order, such as B or D1; "
            "provisional ones are left out."
        ),
        json_schema_extra={"classification": "personal"},
    )
    offence_codes: list[str] = Field(
        default_factory=list,
        description=(
            "Codes of the endorsed offences, such as SP30, in order; one that comes twice stands twice."
        ),
        json_schema_extra={"classification": "special"},
    )
    penalty_points: Long = Field(
        default=0,
        description="Sum of the points of all endorsements.",
        json_schema_extra={"classification": "special"},
    )


class LicenceExpired(EventData):
    """The driving licence of a driver whom a council licenses ran out, or had when DVLA was first asked."""

    type: ClassVar[str] = "driving.licence.expired"

    council: str = Field(
        description="GSS code of the council that licenses the driver, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description=(
            "The council's reference of the taxi or private-hire licence that the driver holds. The "
            "driving licence number stays out of events."
        ),
        json_schema_extra={"classification": "internal"},
    )
    licence_type: str = Field(
        description="In DVLA's words: Full or Provisional. New words may come.",
        json_schema_extra={"classification": "personal"},
    )
    licence_status: str = Field(
        description="In DVLA's words: Valid, Disqualified, Revoked and others. New words may come.",
        json_schema_extra={"classification": "personal"},
    )
    disqualified: bool = Field(
        description="Whether the driver may not drive for now, by order of a court.",
        json_schema_extra={"classification": "special"},
    )
    disqualified_until: str | None = Field(
        default=None,
        description="Date, YYYY-MM-DD, on which a disqualification ends. Null without one, or for life.",
        json_schema_extra={"classification": "special"},
    )
    disqualified_for_life: bool = Field(
        default=False,
        description="Whether the disqualification has no end.",
        json_schema_extra={"classification": "special"},
    )
    valid_until: str | None = Field(
        default=None,
        description="Date, YYYY-MM-DD, until which the licence is valid. Null when DVLA did not say.",
        json_schema_extra={"classification": "personal"},
    )
    entitlements: list[str] = Field(
        default_factory=list,
        description=(
            "Codes of the categories that may be driven on that day, in order, such as B or D1; "
            "provisional ones are left out."
        ),
        json_schema_extra={"classification": "personal"},
    )
    offence_codes: list[str] = Field(
        default_factory=list,
        description=(
            "Codes of the endorsed offences, such as SP30, in order; one that comes twice stands twice."
        ),
        json_schema_extra={"classification": "special"},
    )
    penalty_points: Long = Field(
        default=0,
        description="Sum of the points of all endorsements.",
        json_schema_extra={"classification": "special"},
    )
