"""What a council's register of taxi and private-hire licences says, and what the national database answers.

Seven columns are those of the national taxi and private-hire database (SI 2019/885), with its rules: mark, first and
last day (`YYYY-MM-DD` or `DD/MM/YYYY`), type (`TAXI`, `PHV`, in older data `HCV`), authority, plate (at most 15
characters), wheelchair access (`true`, `false` or nothing). A file in its published form has these alone and no
header: every row is a vehicle that is licensed. A register of its own has more, by a header.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)

from hub.sdk import Record
from hub.sdk.identifiers import vehicle_mark

#: The published form, in its order.
PUBLISHED = (
    *("RegistrationMark", "LicenceStartDate", "LicenceEndDate", "LicenceType"),
    *("LicensingAuthority", "PlateNumber", "WheelchairAccessible"),
)

#: What the words of Status come to; others set their row aside.
STANDING = {
    **dict.fromkeys(("pending", "received"), "pending"),
    **dict.fromkeys(("refused", "withdrawn"), "refused"),
    **dict.fromkeys(("granted", "issued", "renewed", "current", "active"), "in force"),
    "suspended": "suspended",
    "revoked": "revoked",
    **dict.fromkeys(("surrendered", "expired"), "ended"),
}

_DAY = re.compile(r"(\d\d)/(\d\d)/(\d{4})", re.ASCII)
_ISO = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def _day(value: object) -> date:
    text = value.strip() if isinstance(value, str) else ""
    found = _DAY.fullmatch(text)
    try:
        if found:
            return date(int(found[3]), int(found[2]), int(found[1]))
        return date.fromisoformat(text if _ISO.fullmatch(text) else "")
    except ValueError:
        raise ValueError("is not a day as YYYY-MM-DD or DD/MM/YYYY") from None


def _status(text: str) -> str:
    if (word := text.lower()) not in STANDING:
        raise ValueError("is a status that is not known")
    return word


def _access(text: str) -> str:
    if (word := text.lower()) not in ("", "true", "false"):
        raise ValueError("should be true, false or empty")
    return word


def _mark(text: str) -> str:
    if text and (text := vehicle_mark(text) or "") == "":
        raise ValueError("is not of a registration mark's shape")
    return text


def _licence_type(text: str) -> str:
    kind = {"TAXI": "TAXI", "HCV": "TAXI", "PHV": "PHV"}.get(text.upper())
    if kind is None:
        raise ValueError("should be TAXI or PHV")
    return kind


Required = Annotated[str, Field(min_length=1)]
Day = Annotated[date, BeforeValidator(_day)]
Kind = Annotated[
    Literal["vehicle", "driver"],
    BeforeValidator(lambda said: said.lower() if isinstance(said, str) else said),
]


class Licence(Record):
    """A row of the register."""

    model_config = ConfigDict(str_strip_whitespace=True)

    number: str = Field(default="", alias="LicenceNumber")
    kind: Kind = Field(default="vehicle", alias="LicenceKind")
    status: Annotated[str, AfterValidator(_status)] = Field(default="granted", alias="Status")
    mark: Annotated[str, AfterValidator(_mark)] = Field(alias="RegistrationMark")
    starts_on: Day = Field(alias="LicenceStartDate")
    ends_on: Day = Field(alias="LicenceEndDate")
    licence_type: Annotated[str, AfterValidator(_licence_type)] = Field(alias="LicenceType")
    authority: Required = Field(alias="LicensingAuthority")
    authority_code: str = Field(default="", alias="LicensingAuthorityCode")
    plate: Annotated[str, Field(max_length=15)] = Field(alias="PlateNumber")
    wheelchair: Annotated[str, AfterValidator(_access)] = Field(default="", alias="WheelchairAccessible")
    driving_licence: str = Field(default="", alias="DrivingLicenceNumber")

    @field_validator("mark", "plate")
    @classmethod
    def _of_a_vehicle(cls, text: str, info: ValidationInfo) -> str:
        if not text and info.data.get("kind") == "vehicle":
            raise ValueError("is required of a vehicle")
        return text

    @field_validator("ends_on")
    @classmethod
    def _after_its_start(cls, ends: date, info: ValidationInfo) -> date:
        if "starts_on" in info.data and ends < info.data["starts_on"]:
            raise ValueError("is before the first day")
        return ends

    @property
    def standing(self) -> str:
        """`pending`, `refused`, `in force`, `suspended`, `revoked` or `ended`."""
        return STANDING[self.status]

    @property
    def stands(self) -> bool:
        """Whether there is a licence, suspended or not."""
        return self.standing in ("in force", "suspended")


class Job(Record):
    """What came of handing a register over."""

    authority_id: Required
    file_name: Required
    job_id: Required
    status: Literal["SUCCESS", "FAILURE"]
    vehicles: int
    ended_at: AwareDatetime
    errors: list[str] = Field(default=[])
