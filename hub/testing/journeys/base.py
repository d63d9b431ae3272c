"""What all journeys share: a hub to play on, players, and a report that judges by sets."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol, Self, TypeVar

from hub.delivery.receiver import Received, Receiver
from hub.delivery.signing import Secret
from hub.gateway.client import Client
from hub.sdk.simulator import Simulator

S = TypeVar("S", bound=Simulator)

Key = tuple[str, str, str]
"""One thing that must happen: at which party or system, what, and about what."""

Answering = Callable[[Received], int]


class RunningHub(Protocol):
    """A hub as a journey needs it."""

    @property
    def client(self) -> Client:
        """Its API."""

    @property
    def gateway(self) -> str:
        """Where webhooks go."""

    def subscriber(
        self, party: str, answer: Answering | None = None, **asked: Any
    ) -> AbstractContextManager[Receiver]:
        """A subscriber that verifies every signature, for the length of the block."""


@contextmanager
def subscribed(
    client: Callable[[], Client], party: str, answer: Answering | None = None, **asked: Any
) -> Iterator[Receiver]:
    """A subscriber on this machine; its subscription ends with the block, unless that fails.

    `client` is asked for each time: a hub that was started again answers elsewhere.
    """
    receiver = Receiver(answer)
    with receiver.running() as url:
        made = client().post("/v1/subscriptions", {"party": party, "url": url, **asked})
        receiver.secret = Secret(made["secret"])
        receiver.subscription_id = made["id"]
        yield receiver
        client().delete(f"/v1/subscriptions/{made['id']}")


def until(done: Callable[[], bool], timeout: float = 30) -> bool:
    """Whether `done()` came to hold in time."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if done():
            return True
        time.sleep(0.1)
    return done()


@dataclass(frozen=True, slots=True)
class Player:
    """An outside system in a play: the instance that speaks to it, whose it is, and the port where it is looked for."""

    instance: str
    party: str
    simulator: Simulator
    port: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a journey, by sets: nothing is judged by counting alone. Of the keys, the first ten are kept."""

    journey: str
    expected: int
    delivered: int
    lost: int
    duplicated: int
    unexpected: int
    seconds: float
    lost_keys: list[Key]
    duplicated_keys: list[Key]
    unexpected_keys: list[Key]
    more: dict[str, Any]

    @classmethod
    def of(cls, journey: str, played: Played, seconds: float) -> Self:
        """Judge what was heard by what was expected."""
        heard, expected = Counter(played.heard), played.expected
        lost, unexpected = sorted(expected - heard.keys()), sorted(heard.keys() - expected)
        again = sorted(key for key in heard if heard[key] > 1)
        return cls(
            journey=journey,
            expected=len(expected),
            delivered=len(expected & heard.keys()),
            lost=len(lost),
            duplicated=sum(heard[key] - 1 for key in again),
            unexpected=len(unexpected),
            seconds=round(seconds, 3),
            lost_keys=lost[:10],
            duplicated_keys=again[:10],
            unexpected_keys=unexpected[:10],
            more=played.more,
        )

    @property
    def right(self) -> bool:
        """Whether every promise held."""
        return not (self.lost or self.duplicated or self.unexpected)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = asdict(self)
        more: dict[str, Any] = told.pop("more")
        return told | more


@dataclass(frozen=True, slots=True)
class Played:
    """What a play made certain, what was heard of it, each as often as it was, and what else there is to tell."""

    expected: set[Key]
    heard: Iterable[Key]
    more: dict[str, Any] = field(default_factory=dict)


class Journey:
    """One story across several systems, played against a running hub. A subclass defines `perform`.

    Simulators must serve where the hub looks for them, and are told where it is. A journey judges what its own
    subscribers and simulators saw since it began, so that others may be played beside it.
    """

    name: ClassVar[str]
    #: The simulators that it cannot do without, each as often as needed.
    needs: ClassVar[tuple[type[Simulator], ...]]

    def __init__(self, players: Sequence[Player], say: Callable[[str], Any] = lambda _: None) -> None:
        self.players = [player for player in players if isinstance(player.simulator, self.needs)]
        self._say = say

    @classmethod
    def missing(cls, players: Sequence[Player]) -> list[str]:
        """The connectors of which there are too few instances."""
        there = Counter(type(player.simulator) for player in players)
        return sorted(kind.__module__.split(".")[1] for kind in Counter(cls.needs) - there)

    def play(self, hub: RunningHub, timeout: float = 60) -> Report:
        """Play and judge; nothing is waited for longer than `timeout` seconds."""
        for player in self.players:
            player.simulator.webhook_url = f"{hub.gateway}/webhooks/{player.instance}"
        began = time.monotonic()
        played = self.perform(hub, timeout)
        report = Report.of(self.name, played, time.monotonic() - began)
        self.say("is over")
        return report

    def perform(self, hub: RunningHub, timeout: float) -> Played:
        """Have everything happen, bad days too, and wait for what must come of it."""
        raise NotImplementedError

    def say(self, what: str) -> None:
        """Tell how far it is."""
        self._say(f"{self.name}: {what}")

    def of(self, kind: type[S]) -> dict[str, S]:
        """The simulators of a kind, by party."""
        return {one.party: one.simulator for one in self.players if isinstance(one.simulator, kind)}


def side_by_side(plays: Sequence[Callable[[], Report]]) -> list[Report]:
    """Play several at once; gives their reports, or raises what the first of them raised that failed.

    In threads that end with the program: somebody who stops it does not wait for the end of the play.
    """
    reports: dict[int, Report] = {}
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            reports[number] = plays[number]()
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(len(plays))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return [reports[number] for number in sorted(reports)]
