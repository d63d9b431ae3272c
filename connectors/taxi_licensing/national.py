"""The national database as it behaves: what a file must be like, and what it holds after one was taken in. Pure."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

#: Names of files, without their ending.
FILE_NAME = re.compile(r"CAZ-([12]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01]))-([a-zA-Z0-9]+)")

_MARK = re.compile(r"(?=.*\d)(?=.*[A-Z])[A-Z0-9]{2,7}")
_AUTHORITIES = {"BCC": "Birmingham", "WCC": "Westminster", "LCC": "Leeds"}


def _day(text: str) -> date | None:
    for form in ("%Y-%m-%d", "%d/%m/%Y"):
        try:
            return datetime.strptime(text, form).date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    return None


def _wrong(row: list[str], authority: str) -> str:
    """What is wrong with a row, or nothing."""
    if len(row) != 7:
        return f"has {len(row)} fields"
    mark, start, end, kind, name, plate, access = row
    starts, ends = _day(start), _day(end)
    checks = {
        "vehicle registration mark": bool(_MARK.fullmatch(mark)),
        "licence start date": starts is not None,
        "licence end date": ends is not None and (starts is None or ends >= starts),
        "licence type": kind.upper() in ("TAXI", "PHV"),
        "licensing authority name": name == authority,
        "plate number": 0 < len(plate) <= 15,
        "wheelchair accessible": access.lower() in ("", "true", "false"),
    }
    return ", ".join(name for name, right in checks.items() if not right)


@dataclass
class Register:
    """Vehicles by authority and mark, and every change to one: (mark, moment, `Created` or `Updated`, its row)."""

    vehicles: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    changes: list[tuple[str, datetime, str, list[str]]] = field(default_factory=list)

    def take(self, name: str, body: bytes | None, moment: datetime) -> list[str]:
        """Replace an authority's vehicles by a file's; the errors if that cannot be, and then nothing is changed."""
        found = FILE_NAME.fullmatch(name)
        authority = _AUTHORITIES.get(found[4], "") if found else ""
        if body is None or not authority:
            return ["The file is not there" if authority else "The file's name is not valid"]
        rows = list(csv.reader(body.decode(errors="replace").splitlines()))
        errors = [
            f"Line {number}: {wrong}"
            for number, row in enumerate(rows, 1)
            if (wrong := _wrong(row, authority))
        ]
        if not errors:
            before = self.vehicles.get(authority, {})
            self.vehicles[authority] = now = {row[0]: row for row in rows}
            for mark, row in now.items():
                if before.get(mark) != row:
                    self.changes.append((mark, moment, "Updated" if mark in before else "Created", row))
        return errors

    def info(self, mark: str, today: date) -> dict[str, Any] | None:
        """What is told of a vehicle; nothing of one that is not there."""
        rows = [held[mark] for held in self.vehicles.values() if mark in held]
        if not rows:
            return None
        return {
            "active": any((_day(row[2]) or today) >= today for row in rows),
            "wheelchairAccessible": any(row[6].lower() == "true" for row in rows),
            "description": "taxi" if rows[0][3].upper() == "TAXI" else "phv",
            "licensingAuthoritiesNames": sorted({row[4] for row in rows}),
        }

    def history(self, mark: str, page: int, size: int) -> dict[str, Any]:
        """A page of what became of a vehicle, pages counted from 0."""
        mine = [change for change in self.changes if change[0] == mark]
        told = [
            {
                "modifyDate": moment.date().isoformat(),
                "action": action,
                "licensingAuthorityName": row[4],
                "plateNumber": row[5],
                "licenceStartDate": row[1],
                "licenceEndDate": row[2],
                "wheelchairAccessible": row[6].lower() == "true",
            }
            for _, moment, action, row in mine[page * size : (page + 1) * size]
        ]
        pages = -(-len(mine) // size)
        return {
            "perPage": size,
            "page": page,
            "pageCount": pages,
            "totalChangesCount": len(mine),
            "changes": told,
        }
