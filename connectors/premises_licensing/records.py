"""What a council's register of premises licences says, as far as the hub reads it.

Columns: the premises-licences schema of the LGA's local open data incentive scheme. Required there: ExtractDate,
OrganisationLabel, ServiceTypeLabel, LocationText, LateNightRefreshment, AlcoholSupply, StatusLabel. Booleans come in
many spellings, dates as `DD/MM/YYYY[ hh:mm[:ss]]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field

from hub.sdk import Record

#: How long before it is due a fee is told of.
NOTICE = timedelta(days=28)

#: What the words of StatusLabel come to. The scheme leaves them open; others set their row aside.
STANDING = {
    **dict.fromkeys(("pending", "received", "valid", "in consultation"), "pending"),
    **dict.fromkeys(("refused", "withdrawn"), "refused"),
    **dict.fromkeys(
        ("approved", "granted", "issued", "current", "active", "in force", "under review"), "in force"
    ),
    "suspended": "suspended",
    "revoked": "revoked",
    **dict.fromkeys(("surrendered", "lapsed", "expired"), "ended"),
}

_DAY = re.compile(r"(\d\d)/(\d\d)/(\d{4})( \d\d:\d\d(:\d\d)?)?", re.ASCII)
_YES, _NO = {"true", "yes", "y", "1", "t"}, {"false", "no", "n", "0", "f"}


def day(text: str) -> date | None:
    """A day as the scheme writes it, or as ISO 8601 does, for our own column; None for nothing. Raises ValueError."""
    if not (text := text.strip()):
        return None
    found = _DAY.fullmatch(text)
    try:
        return date(int(found[3]), int(found[2]), int(found[1])) if found else date.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a day as DD/MM/YYYY") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("should be text")
    return value


def _said(text: str) -> bool:
    if (word := text.strip().lower()) not in _YES | _NO:
        raise ValueError("should say yes or no")
    return word in _YES


def _status(text: str) -> str:
    if (word := text.lower()) not in STANDING:
        raise ValueError("is a status that is not known")
    return word


def _several(text: str) -> list[str]:
    return [one.strip() for one in text.split("|") if one.strip()]


# Validators that come first run last to first.
Required = Annotated[str, Field(min_length=1)]
Day = Annotated[date | None, BeforeValidator(day), BeforeValidator(_text)]
Said = Annotated[bool, BeforeValidator(_said), BeforeValidator(_text)]
Perhaps = Annotated[
    bool | None, BeforeValidator(lambda text: _said(text) if text.strip() else None), BeforeValidator(_text)
]
Status = Annotated[Required, AfterValidator(_status)]
Several = Annotated[list[str], BeforeValidator(_several), BeforeValidator(_text)]


class Licence(Record):
    """A row of the register, with `FeeDueOn` in place of the day of the extract: see `dated`."""

    model_config = ConfigDict(str_strip_whitespace=True)

    reference: Required = Field(alias="CaseReference")
    organisation: Required = Field(alias="OrganisationLabel")
    organisation_uri: str = Field(default="", alias="OrganisationURI")
    service: Required = Field(alias="ServiceTypeLabel")
    premises_name: str = Field(default="", alias="PremisesName")
    address: Required = Field(alias="LocationText")
    postcode: str = Field(default="", alias="Postcode")
    entertainment: Several = Field(default=[], alias="EntertainmentTypeLabel")
    late_night_refreshment: Said = Field(alias="LateNightRefreshment")
    alcohol: Said = Field(alias="AlcoholSupply")
    opening_hours: str = Field(default="", alias="OpeningHours")
    status: Status = Field(alias="StatusLabel")
    starts_on: Day = Field(default=None, alias="LicenceStartDate")
    ends_on: Day = Field(default=None, alias="LicenceEndDate")
    sold_on_premises: Perhaps = Field(default=None, alias="OnPremisesAlcoholSale")
    sold_off_premises: Perhaps = Field(default=None, alias="OffPremisesAlcoholSale")
    holder: str = Field(default="", alias="LicenceHolder")
    supervisor: str = Field(default="", alias="DesignatedPremisesSupervisor")
    conditions: str = Field(default="", alias="Conditions")
    decided_on: Day = Field(default=None, alias="DecisionDate")
    uprn: str = Field(default="", alias="UPRN")
    fee_due_on: Day = Field(default=None, alias="FeeDueOn")

    @property
    def standing(self) -> str:
        """`pending`, `refused`, `in force`, `suspended`, `revoked` or `ended`."""
        return STANDING[self.status]

    @property
    def stands(self) -> bool:
        """Whether there is a licence, suspended or not."""
        return self.standing in ("in force", "suspended")


class Answer(Record):
    """What the back office says of a renewal. (Our own stand-in: no back office publishes such an interface.)"""

    reference: Required = Field(alias="CaseReference")
    payment: Required = Field(alias="PaymentReference")
    outcome: Required = Field(alias="Outcome")
    answered_at: AwareDatetime = Field(alias="AnsweredAt")
    premises_name: str = Field(default="", alias="PremisesName")
    ends_on: Day = Field(default=None, alias="LicenceEndDate")
    contact_email: str = Field(default="", alias="ContactEmail")


def dated(row: Mapping[str, str]) -> dict[str, str]:
    """The row with the day on which its fee is due, in place of the day on which the file was made.

    That day differs in every file, and would make every row a changed one; and a fee falls due without anything
    in the register changing. So the row changes when, and only when, its next fee comes into sight. Raises
    ValueError where the day of the file cannot be read; days that are not ones are left for the model to name.
    """
    extracted = day(row["ExtractDate"])
    if extracted is None:
        raise ValueError("is empty")
    try:
        due = due_on(day(row.get("LicenceStartDate", "")), day(row.get("LicenceEndDate", "")), extracted)
    except ValueError:
        due = None
    kept = {name: value for name, value in row.items() if name != "ExtractDate"}
    return kept | {"FeeDueOn": due.isoformat() if due else ""}


def due_on(start: date | None, end: date | None, today: date) -> date | None:
    """When the last fee that is in sight is due, if any is: on the last day of what is paid for, or else on the
    anniversary of the licence's first day (Licensing Act 2003, section 55A, and the fees regulations of 2005)."""
    horizon = today + NOTICE
    if end is not None:
        return end if end <= horizon else None
    if start is None:
        return None
    due = _anniversary(start, horizon.year)
    if due > horizon:
        due = _anniversary(start, horizon.year - 1)
    return due if due > start else None


def _anniversary(start: date, year: int) -> date:
    try:
        return start.replace(year=year)
    except ValueError:  # the 29th of February
        return start.replace(year=year, day=28)
