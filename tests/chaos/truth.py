"""What is known of every message that was sent, kept by whoever sends: the truth that the hub is judged against."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.chaos.checker import Expected, Key, Range

FEE, PAYMENT = "fee", "payment"
FEE_TYPE, REFUNDED, CAPTURED = "licensing.fee.paid", "payments.payment.refunded", "payments.payment.captured"


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
class Truth:
    """All lanes, and the dead letters that there are to be."""

    lanes: dict[str, Lane] = field(default_factory=dict)
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
        return Expected(frozenset(must), frozenset(may), repeats)

    def expected_of_all(self, types: Iterable[str]) -> Expected:
        """What is to be written of these types for all parties, once."""
        each = [self.expected(party, types, repeats=False) for party in self.by_party()]
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

    def by_party(self) -> dict[str, int]:
        """Accepted messages by party."""
        found: dict[str, int] = defaultdict(int)
        for lane in self.lanes.values():
            found[lane.party] += lane.accepted
        return dict(found)


def _effects(lane: Lane, number: int, types: set[str]) -> Iterable[Key]:
    every = "*" in types
    if every or (CAPTURED if number == 0 else REFUNDED) in types:
        yield (f"{PAYMENT}:{lane.subject}", number)
    if number == 0 and not lane.feeless and (every or FEE_TYPE in types):
        yield (f"{FEE}:{lane.subject}", 0)


def key_of(event_type: str, payment_id: str, refunded_total: int | None) -> Key | None:
    """Which effect an event is, told from what it carries."""
    if event_type == FEE_TYPE:
        return (f"{FEE}:{payment_id}", 0)
    if event_type == CAPTURED:
        return (f"{PAYMENT}:{payment_id}", 0)
    if event_type == REFUNDED and refunded_total:
        return (f"{PAYMENT}:{payment_id}", refunded_total)
    return None
