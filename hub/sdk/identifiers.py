"""Identifiers of people, places and organisations, checked at the edge. Pure.

Each check says what is wrong in words that do not repeat the value, for a `Reject` or a flag. A check that real
data fail is for flagging, not for refusing: two official samples have NHS numbers with a wrong check digit.

Sources: NHS Data Model and Dictionary (NHS number, modulus 11); ONS register of geographic codes, as collected in
mySociety's `uk_local_authority_names_and_codes` (MIT; `gss.csv` here holds code, name, end and successors);
GeoPlace (UPRN); BS 7666 and GovTalk (postcode); DVLA (driving licence number, shape alone).
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files

_NHS = re.compile(r"\d{10}", re.ASCII)
_GSS = re.compile(r"[EKNSW]\d{8}", re.ASCII)
_UPRN = re.compile(r"\d{1,12}", re.ASCII)
_POSTCODE = re.compile(r"(GIR|[A-Z]{1,2}\d[\dA-Z]?)(\d[ABD-HJLNP-UW-Z]{2})", re.ASCII)
_DRIVER = re.compile(r"[A-Z]{1,5}9{0,4}\d[0156]\d[0-3]\d\d[A-Z9]{2}[0-9A-Z]{3}", re.ASCII)
_VRM = re.compile(r"(?=.*\d)(?=.*[A-Z])[A-Z\d]{2,7}", re.ASCII)


@dataclass(frozen=True, slots=True)
class NhsNumber:
    """A patient's number as ten digits, and whether its check digit is right: `sound` is for flagging."""

    digits: str
    sound: bool

    @classmethod
    def read(cls, text: str) -> NhsNumber | None:
        """With or without spaces or hyphens; None for what is not ten digits."""
        digits = re.sub(r"[\s-]", "", text)
        return cls(digits, digits[9] == _nhs_check(digits)) if _NHS.fullmatch(digits) else None

    @property
    def test(self) -> bool:
        """Whether it is of the range that is set aside for tests."""
        return self.digits.startswith("999")


def _nhs_check(digits: str) -> str:
    """The check digit for the first nine; empty where there is none."""
    check = 11 - sum((10 - place) * int(digit) for place, digit in enumerate(digits[:9])) % 11
    return {10: "", 11: "0"}.get(check, str(check))


@dataclass(frozen=True, slots=True)
class Area:
    """A council's area by its GSS code. `ended` is the first day without it, if it is known to have gone."""

    code: str
    name: str
    ended: date | None
    successors: tuple[str, ...]


def gss_area(code: str) -> Area | None:
    """The council behind a GSS code, past or present; None for one that is not known here."""
    return _areas().get(code)


def current_gss(code: str) -> tuple[str, ...]:
    """The codes that stand for this one today: itself, or its successors (several where a county was split);
    nothing for what is not of a GSS code's shape. A code that is not known is taken as current."""
    if not _GSS.fullmatch(code):
        return ()
    area = gss_area(code)
    if area is None or not area.successors:
        return (code,)
    return tuple(dict.fromkeys(now for after in area.successors for now in current_gss(after)))


def todays_council(code: str) -> str:
    """The code of today of a council, where there is one: itself where it was split, or is no GSS code."""
    now = current_gss(code)
    return now[0] if len(now) == 1 else code


def same_council(said: str, code: str) -> bool:
    """Whether a code, or a URI that ends with one, may stand for a council, both as they are today. What is no GSS
    code says nothing to the contrary."""
    found = _GSS.search(said.rstrip("/")[-9:])
    return found is None or bool(set(current_gss(found[0])) & set(current_gss(code)))


@cache
def _areas() -> dict[str, Area]:
    with (files("hub.sdk") / "gss.csv").open(encoding="utf-8") as file:
        return {
            row["code"]: Area(
                row["code"],
                row["name"],
                date.fromisoformat(row["ended"]) if row["ended"] else None,
                tuple(row["successors"].split()),
            )
            for row in csv.DictReader(file)
        }


def uprn(text: str) -> str | None:
    """A property's number without leading zeros, as text; None for what is none. Its shape is all there is."""
    digits = text.strip()
    return (digits.lstrip("0") or None) if _UPRN.fullmatch(digits) else None


def postcode(text: str) -> str | None:
    """A postcode in capitals with its one space; None for what is not of a postcode's shape."""
    found = _POSTCODE.fullmatch(re.sub(r"\s", "", text).upper())
    return f"{found[1]} {found[2]}" if found else None


def driving_licence_number(text: str) -> str | None:
    """A GB driver number of 16 characters in capitals, without spaces; None where the shape is another.

    Surname (5, padded with 9), decade, month (+50 for women), day, year, initials (padded with 9), 3 more. The
    shape alone: DVLA's own examples are not well-formed beyond it, and Northern Ireland's numbers are others.
    """
    number = re.sub(r"\s", "", text).upper()
    return number if len(number) == 16 and _DRIVER.fullmatch(number) else None


def vehicle_mark(text: str) -> str | None:
    """A registration mark in capitals without spaces: 2 to 7 letters and digits, at least one of each."""
    mark = re.sub(r"\s", "", text).upper()
    return mark if _VRM.fullmatch(mark) else None
