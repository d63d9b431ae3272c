"""The headers of many events at once, as columns: what `hub.events.kafka` does for one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Self

import polars as pl

from hub.events.envelope import ATTRIBUTES, SPEC_VERSION, Envelope
from hub.events.kafka import CONTENT_TYPE, PREFIX, Headers

FEW = 64
"""So many are worked on one by one in the time that columns take to set up."""


class Heads:
    """The headers of a batch of events, by name: what `from_headers` tells of one, for many at once."""

    def __init__(
        self,
        count: int,
        columns: Mapping[str, Callable[[], pl.Series]],
        not_text: Mapping[int, str] | None = None,
    ) -> None:
        """`columns` gives the texts of each header, `count` of them; empty is absent. Called at most once each.

        `not_text` has, by row, which attribute is no text at all.
        """
        self.count = count
        self._columns = columns
        self._not_text = dict(not_text or {})
        self._series: dict[str, pl.Series] = {}
        self._texts: dict[str, list[str]] = {}

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
                    if name.startswith(PREFIX):
                        not_text[row] = f"{name}: not UTF-8"
            each.append(head)
        texts = {
            name: [head.get(name, "") for head in each] for name in {name for head in each for name in head}
        }
        heads = cls(len(each), {name: partial(_column, column) for name, column in texts.items()}, not_text)
        heads._texts = texts
        return heads

    @classmethod
    def joined(cls, several: Sequence[Heads]) -> Heads:
        """Those of several batches, one after the other."""
        if len(several) == 1:
            return several[0]
        names = {name for heads in several for name in heads._columns}
        not_text: dict[int, str] = {}
        start = 0
        for heads in several:
            not_text |= {start + row: reason for row, reason in heads._not_text.items()}
            start += heads.count
        return cls(start, {name: partial(_joined, several, name) for name in names}, not_text)

    def take(self, rows: Sequence[int]) -> Heads:
        """Those at `rows`, in that order."""
        if len(rows) == self.count and list(rows) == list(range(self.count)):
            return self
        places = pl.Series(rows, dtype=pl.UInt32)
        return Heads(len(rows), {name: partial(self._taken, name, places) for name in self._columns})

    def series(self, name: str) -> pl.Series:
        """One header of each, empty where there is none."""
        found = self._series.get(name)
        if found is None:
            read = self._columns.get(name)
            found = read() if read else _all("", self.count)
            self._series[name] = found = found.alias(name)
        return found

    def texts(self, name: str) -> list[str]:
        """The same as a list."""
        found = self._texts.get(name)
        if found is None:
            found = self._texts[name] = self.series(name).to_list()
        return found

    def given(self, name: str) -> dict[int, str]:
        """One header by row, of those that have it: for one that few have."""
        if name not in self._columns:
            return {}
        return {row: text for row, text in enumerate(self.texts(name)) if text}

    def row(self, at: int) -> dict[str, str]:
        """The headers that one of them has."""
        return {name: text for name in self._columns if (text := self.texts(name)[at])}

    def faults(self) -> list[tuple[int, str]]:
        """Index and reason of each that is no envelope."""
        if self.count >= FEW and self._sound():
            return []
        found = []
        for row in range(self.count):
            attributes = {name.removeprefix(PREFIX): self.texts(name)[row] for name in self._columns}
            try:
                if row in self._not_text:
                    raise ValueError(self._not_text[row])
                Envelope.from_attributes(attributes)
            except ValueError as error:
                found.append((row, str(error)))
        return found

    def _taken(self, name: str, places: pl.Series) -> pl.Series:
        return self.series(name)[places]

    def _sound(self) -> bool:
        """Quickly, so with false alarms, whether all are envelopes."""
        if self._not_text:
            return False
        times = self.series("ce_time")
        try:
            for day in times.str.head(10).unique().to_list():
                date.fromisoformat(day)
        except ValueError:
            return False
        return (
            all((self.series(name) != "").all() for name in _NEEDED)
            and (self.series("ce_specversion") == SPEC_VERSION).all()
            and times.str.contains(_TIME).all()
        )


_NEEDED = ("ce_id", "ce_source", "ce_type", "ce_subject")
_TIME = r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{6})?Z\z"


def _column(texts: Sequence[str]) -> pl.Series:
    return pl.Series(texts, dtype=pl.String)


def _joined(several: Sequence[Heads], name: str) -> pl.Series:
    return pl.concat([heads.series(name) for heads in several], rechunk=True)


def onward(heads: Heads, same: Mapping[str, str], each: Mapping[str, pl.Series]) -> dict[str, pl.Series]:
    """Record headers of the events that those of `heads` led to, one each: as `to_headers`, for many at once.

    `same` has the attributes that are the same for all, `each` those that are not; time and case go on. An empty
    text is none.
    """
    made = {f"{PREFIX}{name}": texts for name, texts in each.items()}
    for name, text in same.items():
        made[f"{PREFIX}{name}"] = _all(text, heads.count)
    made["ce_time"] = heads.series("ce_time")
    made["ce_correlationid"] = heads.series("ce_correlationid")
    made["ce_causationid"] = heads.series("ce_id")
    name, media_type = CONTENT_TYPE
    made[name] = _all(media_type.decode(), heads.count)
    return {name: made[name] for name in _ORDER if name in made}


def one_by_one(columns: Mapping[str, pl.Series]) -> list[Headers]:
    """Record headers, row by row, without those that are none."""
    named = [[(name, text.encode()) for text in texts.to_list()] for name, texts in columns.items()]
    return [[header for header in row if header[1]] for row in zip(*named, strict=True)]


def _all(text: str, count: int) -> pl.Series:
    return pl.Series([text], dtype=pl.String).new_from_index(0, count)


_ORDER = [*(PREFIX + name for name in ATTRIBUTES), CONTENT_TYPE[0]]
