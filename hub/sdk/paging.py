"""Ways through a list that comes in pages: by link, cursor, number, or windows of time. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class Window:
    """One round over a search by time: what happened in [start, end), from `page` on.

    `page` 0 says that the round is over. `at` is the system's own token for the page where it has one.
    """

    start: datetime
    end: datetime
    page: int = 1
    at: str = ""

    @classmethod
    def current(cls, cursor: str | None, now: datetime, lookback: timedelta, overlap: timedelta) -> Window:
        """The window that a cursor stands in, or the first one of a new round.

        The end of a round is fixed when it begins, since page numbers mean little over a set that grows. The
        next round begins `overlap` before that end, so that what a lagging search showed late, or what slipped
        between two pages, is found; the very first begins `lookback` before now.
        """
        if cursor is None:
            return cls(now - lookback, now)
        told = json.loads(cursor)
        start, end = datetime.fromisoformat(told["start"]), datetime.fromisoformat(told["end"])
        if told["page"]:
            return cls(start, end, told["page"], told.get("at", ""))
        return cls(min(end - overlap, now), now)

    def following(self, more: bool, at: str = "") -> str:
        """The cursor behind this page: the next page, or the end of the round."""
        told = asdict(self) | {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "page": self.page + 1 if more else 0,
            "at": at if more else "",
        }
        return json.dumps(told)


def next_link(answer: Any, path: str = "links.next") -> str:
    """The link to the next page in a JSON answer: a text, or an object with `href`, at a dotted path; empty at
    the end."""
    found = answer
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    if isinstance(found, Mapping):
        found = found.get("href")
    return found if isinstance(found, str) else ""


_LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*=\s*(?:"[^"]*"|[^\s;,"]+))*)')


def header_link(header: str, relation: str = "next") -> str:
    """The target of a `Link` header (RFC 8288) for a relation; empty where there is none."""
    for target, parameters in _LINK.findall(header):
        told = re.search(r'(?:^|;)\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))', parameters, re.IGNORECASE)
        if told and relation in (told[1] or told[2]).lower().split():
            return str(target)
    return ""


@dataclass(frozen=True, slots=True)
class Validators:
    """What a system said about a version of a resource, so that it need not send it again (RFC 9110, 13.1)."""

    etag: str = ""
    modified: str = ""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Validators:
        """From an answer's headers."""
        return cls(headers.get("etag", ""), headers.get("last-modified", ""))

    def headers(self) -> dict[str, str]:
        """For the next request; a 304 then says that nothing changed."""
        told = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {name: text for name, text in told.items() if text}

    @classmethod
    def of_cursor(cls, cursor: str | None) -> Validators:
        """From a cursor that `text` made."""
        return cls(**json.loads(cursor)) if cursor else cls()

    def text(self) -> str:
        """As a cursor."""
        return json.dumps(asdict(self))
