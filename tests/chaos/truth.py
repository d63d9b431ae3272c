"""What is known of every message that was sent, kept by whoever sends: the truth that the hub is judged against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.checker import Expected, Key, Range

FEE, PAYMENT, LICENCE = "fee", "payment", "licence"
FEE_TYPE, REFUNDED, CAPTURED = "licensing.fee.paid", "payments.payment.refunded", "payments.payment.captured"
GRANTED, VARIED = "licensing.premises-licence.granted", "licensing.premises-licence.varied"

_HOURS = "as in register "


@dataclass(slots=True)
class Lane:
    """One subject: its messages are numbered from 0, and the next is sent when the one before is accepted.

    Number 0 is the capture of a payment, which also pays a licence fee unless `feeless`; each following number is
    a refund. `doubtful` is the last number sent, if it is not known whether it was accepted; none follows it.
    """

    subject: str
    party: str
    feeless: bool = False
    accepted: int = 0
    doubtful: bool = False


@dataclass
class Register:
    """What a council lists of licences, which are subjects too: each of the `left` registers, numbered from 1, has
    the same `references`, every one with other opening hours. The first tells that they are granted, each following
    one that they are varied; the next is left when the one before was taken in.
    """

    party: str
    references: list[str]
    left: int = 0

    def __post_init__(self) -> None:
        self.lanes = [lane_of(self.party, reference) for reference in self.references]

    @property
    def told(self) -> int:
        """Events that there are to be."""
        return self.left * len(self.lanes)


@dataclass
class Truth:
    """All lanes, all registers, and the dead letters that there are to be."""

    lanes: dict[str, Lane] = field(default_factory=dict)
    registers: list[Register] = field(default_factory=list)
    letters: dict[str, Range] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    unknown: list[str] = field(default_factory=list)
    """Why the truth itself is not whole, if so."""
    _claimed: Counter[str] = field(default_factory=Counter)
    _tried: Counter[str] = field(default_factory=Counter)

    @property
    def accepted(self) -> int:
        """Messages that were accepted, repeats and poison not counted."""
        return sum(lane.accepted for lane in self.lanes.values())

    @property
    def rows(self) -> int:
        """Rows of all registers that were left."""
        return sum(register.told for register in self.registers)

    def expected(self, party: str, types: Iterable[str] = ("*",), *, repeats: bool) -> Expected:
        """What is to come to a place that takes these types of a party's inbox."""
        wanted = set(types)
        must: set[Key] = set()
        may: set[Key] = set()
        for lane in self.lanes.values():
            if lane.party == party:
                for number in range(lane.accepted):
                    must.update(_effects(lane, number, wanted))
                if lane.doubtful:
                    may.update(_effects(lane, lane.accepted, wanted))
        for register in self.registers:
            if register.party == party:
                for number in range(1, register.left + 1):
                    if not wanted.isdisjoint(("*", GRANTED if number == 1 else VARIED)):
                        must.update((lane, number) for lane in register.lanes)
        return Expected(frozenset(must), frozenset(may), repeats)

    def expected_of_all(self, types: Iterable[str]) -> Expected:
        """What is to be written of these types for all parties, once."""
        parties = {one.party for one in self.lanes.values()} | {one.party for one in self.registers}
        each = [self.expected(party, types, repeats=False) for party in parties]
        return Expected(
            frozenset[Key]().union(*(one.must for one in each)),
            frozenset[Key]().union(*(one.may for one in each)),
            repeats=False,
        )

    def poison_tried(self, about: str) -> None:
        """A poisoned message is being sent: from now on there may be one letter more."""
        self._tried[about] += 1
        self._set_range(about)

    def poison_claimed(self, about: str) -> None:
        """It was accepted: there must be one letter more."""
        self._claimed[about] += 1
        self._set_range(about)

    def _set_range(self, about: str) -> None:
        self.letters[about] = Range(self._claimed[about], self._tried[about])


def _effects(lane: Lane, number: int, types: set[str]) -> Iterable[Key]:
    every = "*" in types
    if every or (CAPTURED if number == 0 else REFUNDED) in types:
        yield (f"{PAYMENT}:{lane.subject}", number)
    if number == 0 and not lane.feeless and (every or FEE_TYPE in types):
        yield (f"{FEE}:{lane.subject}", 0)


def lane_of(party: str, reference: str) -> str:
    """A licence's."""
    return f"{LICENCE}:{party}/{reference}"


def hours_of(number: int) -> str:
    """The opening hours of all licences in the register of this number, by which it is known again."""
    return f"{_HOURS}{number}"


def key_of(event_type: str, data: Mapping[str, Any]) -> Key | None:
    """Which effect an event is, told from what it carries."""
    if event_type in (GRANTED, VARIED):
        hours = str(data.get("opening_hours")).removeprefix(_HOURS)
        number = int(hours) if hours.isdecimal() else 0
        right = event_type == (GRANTED if number == 1 else VARIED)
        return (lane_of(data["council"], data["licence_reference"]), number) if right else None
    payment_id, refunded_total = str(data.get("payment_id", "")), data.get("refunded_total")
    if event_type == FEE_TYPE:
        return (f"{FEE}:{payment_id}", 0)
    if event_type == CAPTURED:
        return (f"{PAYMENT}:{payment_id}", 0)
    if event_type == REFUNDED and refunded_total:
        return (f"{PAYMENT}:{payment_id}", refunded_total)
    return None
