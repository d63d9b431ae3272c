"""The cursor: how far a round has come, and what was last known of every driver. Pure, but for reading the list."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from hub.sdk import Stop

COLUMNS = ("licence_reference", "driving_licence_number")

#: Bytes that a cursor may have, as a string within the JSON of the one record in which it lies.
LARGEST = 2_000_000
_LONGEST_MARK = "?" * 19  # of a number that DVLA does not know


@dataclass(frozen=True, slots=True)
class Round:
    """One round over the list, which began `at`. Drivers are asked for in order of their reference.

    `after` is the last one of the page before. Of those in `later` DVLA made nothing; they are asked for once more
    at the end. `known` has a mark for every driver. `at` is empty between two rounds.
    """

    at: str = ""
    after: str = ""
    later: tuple[str, ...] = ()
    known: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, cursor: str | None, now: datetime) -> Self:
        """Where a cursor stands, or the beginning of a new round."""
        told = cls(**json.loads(cursor)) if cursor else cls()
        return told if told.at else replace(told, at=now.isoformat())

    @property
    def noticed_at(self) -> datetime:
        """When the round began."""
        return datetime.fromisoformat(self.at)

    def require_room(self, drivers: Mapping[str, str]) -> None:
        """Raises Stop where the cursor could not hold a mark for everybody; so before anybody is paid for."""
        known = {**dict.fromkeys(drivers, _LONGEST_MARK), **self.known}
        text = json.dumps([known, self.later], separators=(",", ":"))
        if len(json.dumps(text)) > LARGEST:
            raise Stop(
                f"the list of {len(drivers)} drivers is longer than the cursor of an instance holds: "
                "divide it between two"
            )

    def page(self, drivers: Mapping[str, str], size: int) -> tuple[list[str], bool]:
        """Whom to ask for, and whether for the last time: those who were put off, after all others."""
        new = [reference for reference in sorted(drivers) if reference > self.after][:size]
        return (new, False) if new else ([each for each in self.later if each in drivers][:size], True)

    def following(self, page: list[str], again: bool, failed: list[str], marks: Mapping[str, str]) -> Round:
        """The round behind a page, of which `failed` are to be put off."""
        known = {**self.known, **marks}
        if again:
            return replace(self, later=tuple(each for each in self.later if each not in page), known=known)
        return replace(self, after=page[-1], later=(*self.later, *failed), known=known)

    def ended(self, drivers: Mapping[str, str]) -> Round:
        """Between two rounds: who is no longer on the list is forgotten."""
        return Round(known={name: marked for name, marked in self.known.items() if name in drivers})

    def text(self) -> str:
        """As a cursor."""
        return json.dumps(asdict(self), separators=(",", ":"))


def read_drivers(path: Path) -> dict[str, str]:
    """Driving licence numbers, as they are written, by the council's reference. Raises Stop for what is no list."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if not set(COLUMNS) <= set(rows.fieldnames or ()):
                raise Stop(f"the list of drivers lacks one of the columns {' and '.join(COLUMNS)}")
            return {
                (row[COLUMNS[0]] or "").strip() or f"line {rows.line_num}": row[COLUMNS[1]] or ""
                for row in rows
            }
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Stop(f"the list of drivers cannot be read: {type(error).__name__}") from None
