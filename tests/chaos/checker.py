"""Judged by sets: what was lost, done twice, not asked for, or out of order. Pure.

What cannot be judged is *unknown*, and that is no pass: a generator that crashed, a topic that could not be read.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Key = tuple[str, int]
"""One effect: its lane, within which order holds, and its number there."""

_SHOWN = 10


class Arrival(NamedTuple):
    """Something that came to a place, in order of arrival. `key` is None where nobody could tell what it was.

    `where` is for people who look for the cause.
    """

    key: Key | None
    id: str
    intact: bool = True
    where: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a place is to get: `must` for certain, `may` perhaps (nobody was told whether it was accepted).

    Nothing comes twice under two ids. Under one id it may, where `repeats` allows.
    """

    must: frozenset[Key]
    may: frozenset[Key] = frozenset()
    repeats: bool = True


@dataclass
class Findings:
    """What is wrong at one place, each with what it is about; `repeats` is not wrong where repeats are allowed."""

    lost: list[Any] = field(default_factory=list)
    duplicated: list[Any] = field(default_factory=list)
    unexpected: list[Any] = field(default_factory=list)
    out_of_order: list[Any] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    effects: int = 0
    repeats: int = 0

    FAULTS = ("lost", "duplicated", "unexpected", "out_of_order", "unknown")

    @property
    def right(self) -> bool:
        """Whether every promise held, and everything could be judged."""
        return not any(getattr(self, name) for name in self.FAULTS)

    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {name: len(getattr(self, name)) for name in self.FAULTS} | {
            "effects": self.effects,
            "repeats": self.repeats,
        }

    def examples(self) -> dict[str, list[Any]]:
        """The first few of each that is wrong."""
        return {name: getattr(self, name)[:_SHOWN] for name in self.FAULTS if getattr(self, name)}


def judge(expected: Expected, arrivals: Iterable[Arrival]) -> Findings:
    """Compare what came to a place with what was to come."""
    found = Findings()
    first: dict[Key, Arrival] = {}
    latest: dict[str, int] = defaultdict(lambda: -1)
    for arrival in arrivals:
        key = arrival.key
        if key is None or not arrival.intact or not (key in expected.must or key in expected.may):
            found.unexpected.append(arrival)
            continue
        if key in first:
            if first[key].id != arrival.id or not expected.repeats:
                found.duplicated.append((first[key], arrival))
            else:
                found.repeats += 1
            continue
        first[key] = arrival
        lane, number = key
        if number < latest[lane]:
            found.out_of_order.append((arrival, latest[lane]))
        latest[lane] = max(latest[lane], number)
    found.effects = len(first)
    found.lost = sorted(expected.must - first.keys())
    return found


class Range(NamedTuple):
    """How many dead letters there must be at least, and may be at most."""

    least: int
    most: int


def judge_letters(expected: Mapping[str, Range], letters: Iterable[tuple[str, str]]) -> Findings:
    """The dead letters, each as `(what it is about, its id)`, against those that there must be."""
    found = Findings()
    about: Counter[str] = Counter()
    ids: set[str] = set()
    for key, letter_id in letters:
        if letter_id in ids:
            found.duplicated.append((key, letter_id))
            continue
        ids.add(letter_id)
        about[key] += 1
        if about[key] > expected.get(key, Range(0, 0)).most:
            found.unexpected.append((key, letter_id))
    found.effects = len(ids)
    found.lost = [key for key, wanted in expected.items() if about[key] < wanted.least]
    return found
