"""What DVLA's driver enquiry says, and what is kept of it with the council's reference.

Names from public uses of the API (hmcts/cpp-context-staging-dvla, MIT), whose samples have `tokenValidity` and
`tokenValidToDate` where others have `token` and `validToDate`; partly public, so whatever can be missing may be.
"""

from __future__ import annotations

from datetime import date

from pydantic import AliasChoices, AwareDatetime, Field

from hub.sdk import Record


class Driver(Record):
    """Of the person, the disqualification alone: who it is, is not kept."""

    disqualified_until: date | None = Field(default=None, alias="disqualifiedUntil")
    disqualified_for_life: bool | None = Field(default=None, alias="disqualifiedForLife")
    disqualified_pending_sentence: bool | None = Field(default=None, alias="disqualifiedPendingSentence")


class Licence(Record):
    """What licence it is, in DVLA's words."""

    type: str
    status: str


class Entitlement(Record):
    """One category that may be driven."""

    code: str = Field(alias="categoryCode")
    type: str = Field(default="", alias="categoryType")
    starts: date | None = Field(default=None, alias="fromDate")
    ends: date | None = Field(default=None, alias="expiryDate")


class Endorsement(Record):
    """One endorsed offence."""

    code: str = Field(alias="offenceCode")
    points: int | None = Field(default=None, alias="penaltyPoints")


class Validity(Record):
    """Of the card."""

    ends: date | None = Field(default=None, validation_alias=AliasChoices("validToDate", "tokenValidToDate"))


class Answer(Record):
    """An answer to an enquiry."""

    driver: Driver
    licence: Licence
    entitlements: list[Entitlement] = Field(default=[], alias="entitlement")
    endorsements: list[Endorsement] = Field(default=[])
    validity: Validity | None = Field(default=None, validation_alias=AliasChoices("token", "tokenValidity"))


class Flags(Record):
    """What was known before."""

    disqualified: bool
    expired: bool


class Enquiry(Record):
    """A raw record: an answer that is not what it was at the last round; `before` is null at first sight."""

    licence_reference: str = Field(min_length=1)
    noticed_at: AwareDatetime
    before: Flags | None = None
    answer: Answer
