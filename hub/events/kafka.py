"""The binary mode of the CloudEvents Kafka protocol binding: attributes travel as record headers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from itertools import repeat
from typing import Self

from hub.events.envelope import ATTRIBUTES, SPEC_VERSION, Envelope

Headers = list[tuple[str, bytes]]

_PREFIX = "ce_"
_CONTENT_TYPE = ("content-type", b"application/avro")


def to_headers(envelope: Envelope) -> Headers:
    """Record headers: `ce_<attribute>` in UTF-8, and `content-type` for the data's media type."""
    headers = [(_PREFIX + name, text.encode()) for name, text in envelope.attributes().items()]
    headers.append(_CONTENT_TYPE)
    return headers


def from_headers(headers: Iterable[tuple[str, bytes | None]]) -> Envelope:
    """The envelope carried by `headers`; others are passed over. Raises ValueError naming the attribute."""
    attributes: dict[str, str] = {}
    for name, value in headers:
        if name.startswith(_PREFIX) and value is not None:
            try:
                attributes[name[len(_PREFIX) :]] = value.decode()
            except UnicodeDecodeError:
                raise ValueError(f"{name}: not UTF-8") from None
    return Envelope.from_attributes(attributes)


def header(headers: Iterable[tuple[str, bytes | None]], name: str) -> str:
    """The text of one header, or empty."""
    for key, value in headers:
        if key == name and value is not None:
            return value.decode(errors="replace")
    return ""


class Heads:
    """The headers of a batch of events, by name: what `from_headers` tells of one, for many at once."""

    def __init__(self, count: int, columns: Mapping[str, Callable[[], list[str]]]) -> None:
        """`columns` gives the texts of each header, `count` of them; empty is absent. Called at most once each."""
        self.count = count
        self._columns = columns
        self._texts: dict[str, list[str]] = {}
        self._not_text: dict[int, str] = {}

    @classmethod
    def of(cls, all_headers: Sequence[Iterable[tuple[str, bytes | None]]]) -> Self:
        """From records' headers, one by one."""
        each: list[dict[str, str]] = []
        not_text: dict[int, str] = {}
        for row, headers in enumerate(all_headers):
            head = {}
            for name, value in headers:
                try:
                    head[name] = (value or b"").decode()
                except UnicodeDecodeError:
                    if name.startswith(_PREFIX):
                        not_text[row] = f"{name}: not UTF-8"
            each.append(head)
        names = {name for head in each for name in head}
        heads = cls(len(each), {name: partial(_column, each, name) for name in names})
        heads._not_text = not_text
        return heads

    def take(self, rows: Sequence[int]) -> Heads:
        """Those at `rows`, in that order."""
        if len(rows) == self.count and list(rows) == list(range(self.count)):
            return self
        return Heads(len(rows), {name: partial(self._taken, name, rows) for name in self._columns})

    def texts(self, name: str) -> list[str]:
        """One header of each, empty where there is none."""
        found = self._texts.get(name)
        if found is None:
            read = self._columns.get(name)
            found = self._texts[name] = read() if read else [""] * self.count
        return found

    def row(self, at: int) -> dict[str, str]:
        """The headers that one of them has."""
        return {name: text for name in self._columns if (text := self.texts(name)[at])}

    def faults(self) -> list[tuple[int, str]]:
        """Index and reason of each that is no envelope."""
        if self._sound():
            return []
        found = []
        for row in range(self.count):
            attributes = {name.removeprefix(_PREFIX): self.texts(name)[row] for name in self._columns}
            try:
                if row in self._not_text:
                    raise ValueError(self._not_text[row])
                Envelope.from_attributes(attributes)
            except ValueError as error:
                found.append((row, str(error)))
        return found

    def _taken(self, name: str, rows: Sequence[int]) -> list[str]:
        texts = self.texts(name)
        return [texts[row] for row in rows]

    def _sound(self) -> bool:
        """Quickly, so with false alarms, whether all are envelopes."""
        times = self.texts("ce_time")
        try:
            for day in {time[:10] for time in times}:
                date.fromisoformat(day)
        except ValueError:
            return False
        return (
            not self._not_text
            and all(all(self.texts(name)) for name in ("ce_id", "ce_source", "ce_type", "ce_subject"))
            and set(self.texts("ce_specversion")) <= {SPEC_VERSION}
            and _TIMES.fullmatch("\0".join([*times, ""])) is not None
        )


_CLOCK = r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{6})?Z"
_TIMES = re.compile(rf"(?:\d{{4}}-\d\d-\d\d{_CLOCK}\0)*", re.ASCII)


def _column(each: Sequence[Mapping[str, str]], name: str) -> list[str]:
    return [head.get(name, "") for head in each]


def as_bytes(texts: Sequence[str]) -> list[bytes]:
    """Each in UTF-8; many at the cost of one."""
    found = "\0".join(texts).encode().split(b"\0") if texts else []
    return found if len(found) == len(texts) else [text.encode() for text in texts]


def onward(heads: Heads, same: Mapping[str, str], each: Mapping[str, Sequence[str]]) -> list[Headers]:
    """Record headers of the events that those of `heads` led to, one each: as `to_headers`, for many at once.

    `same` has the attributes that are the same for all, `each` those that are not; time and case go on.
    """
    columns = {
        **{f"{_PREFIX}{name}": texts for name, texts in each.items()},
        "ce_time": heads.texts("ce_time"),
        "ce_correlationid": heads.texts("ce_correlationid"),
        "ce_causationid": heads.texts("ce_id"),
    }
    made: dict[str, Iterable[tuple[str, bytes]]] = {
        f"{_PREFIX}{name}": repeat((f"{_PREFIX}{name}", text.encode())) for name, text in same.items()
    }
    for name, texts in columns.items():
        made[name] = zip(repeat(name), as_bytes(texts), strict=False)
    rows = zip(*(made[name] for name in _ORDER if name in made), repeat(_CONTENT_TYPE), strict=False)
    if all(all(texts) for texts in columns.values()):
        return list(map(list, rows))
    return [[header for header in row if header[1]] for row in rows]


_ORDER = [_PREFIX + name for name in ATTRIBUTES]
