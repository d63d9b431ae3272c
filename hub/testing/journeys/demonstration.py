"""The demonstration: the players that a configuration names, up on this machine, and all journeys side by side."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from connectors.care_referrals.simulator import CareSimulator
from connectors.dvla_driver.round import read_drivers
from connectors.dvla_driver.simulator import DvlaSimulator
from connectors.govuk_notify.simulator import NotifySimulator
from connectors.govuk_pay.simulator import PaySimulator
from connectors.nhs_mesh.simulator import MeshSimulator
from connectors.premises_licensing.simulator import PremisesSimulator
from connectors.taxi_licensing.simulator import TaxiSimulator
from hub.delivery.receiver import Receiver
from hub.gateway.client import Client
from hub.sdk.clock import Clock
from hub.sdk.fleet import Fleet
from hub.sdk.simulator import Simulator
from hub.testing.journeys.base import Answering, Journey, Player, Report, side_by_side, subscribed
from hub.testing.journeys.care_referrals import CareReferrals
from hub.testing.journeys.disqualifications import Disqualifications
from hub.testing.journeys.licence_fees import LicenceFees

JOURNEYS: tuple[type[Journey], ...] = (LicenceFees, Disqualifications, CareReferrals)

#: How the system behind an instance is played, by connector, from the instance's config.
_PLAYED: dict[str, Callable[[Any], Simulator]] = {
    "govuk_pay": lambda told: PaySimulator(
        signing_secret=told.signing_secret.get_secret_value(), api_key=told.api_key.get_secret_value()
    ),
    "govuk_notify": lambda _: NotifySimulator(),
    "premises_licensing": lambda _: PremisesSimulator(),
    "taxi_licensing": lambda _: TaxiSimulator(),
    "dvla_driver": lambda told: DvlaSimulator(drivers=read_drivers(told.drivers)),
    "care_referrals": lambda told: CareSimulator(
        Clock(speed=100), private_key=told.private_key.get_secret_value() if told.private_key else ""
    ),
    "nhs_mesh": lambda _: MeshSimulator(),
}


class PortTaken(Exception):
    """A simulator cannot listen where the hub's configuration looks for it."""


def cast(fleet: Fleet) -> list[Player]:
    """A player for every system that the configuration has on this machine; others are real, and not played.

    Two instances for one system, by its port, have one player: it is known by the first.
    """
    players: dict[tuple[str, int], Player] = {}
    for name, member in fleet.members.items():
        connector, config = member.instance.connector, member.connectors[0].config
        if (port := _port(config)) and connector in _PLAYED and (connector, port) not in players:
            simulator = _PLAYED[connector](config)
            players[connector, port] = Player(name, member.instance.party, simulator, port)
    return list(players.values())


@contextmanager
def staged(players: Sequence[Player]) -> Iterator[None]:
    """All players up where the hub looks for them. Raises PortTaken."""
    with ExitStack() as stack:
        for player in players:
            try:
                stack.enter_context(player.simulator.running(player.port))
            except OSError as error:
                raise PortTaken(
                    f"port {player.port}, where {player.instance} is played, is taken ({error.strerror});"
                    " another demonstration may be running"
                ) from None
        yield


@dataclass(frozen=True, slots=True)
class Reports:
    """What came of all journeys, and which were left out, each with the connectors that it lacks."""

    journeys: list[Report]
    left_out: dict[str, list[str]]

    @property
    def right(self) -> bool:
        """Whether every promise held, and there was one."""
        return bool(self.journeys) and all(report.right for report in self.journeys)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: in all, and each."""
        each = [report.to_dict() for report in self.journeys]
        added = ("expected", "delivered", "lost", "duplicated", "unexpected")
        alone = {name: value for told in each for name, value in told.items()}
        in_all = {
            name: alone.get(name, 0)
            for name in ("payments", "failed_attempts", "dead_letters", "first_delivery_s")
        }
        return (
            in_all
            | {name: sum(told[name] for told in each) for name in added}
            | {
                "seconds": max((report.seconds for report in self.journeys), default=0.0),
                "lost_keys": [key for report in self.journeys for key in report.lost_keys],
                "journeys": each,
                "left_out": self.left_out,
            }
        )


class PlayedHub:
    """The hub on which it is played. Notes on disk which subscriptions are of the play, for one that is killed."""

    def __init__(self, client: Client, notes: Path) -> None:
        self.client = client
        self._notes = notes
        self._made: list[str] = []
        self._turn = threading.Lock()

    @property
    def gateway(self) -> str:
        """Where webhooks go."""
        return self.client.gateway

    @contextmanager
    def subscriber(self, party: str, answer: Answering | None = None, **asked: Any) -> Iterator[Receiver]:
        """See `RunningHub`."""
        with subscribed(lambda: self.client, party, answer, **asked) as receiver:
            with self._turn:
                self._made.append(receiver.subscription_id)
                self._notes.write_text(json.dumps(self._made))
            yield receiver

    def forget(self) -> None:
        """Remove subscriptions of this play, or of one that was killed."""
        try:
            noted = set(map(str, json.loads(self._notes.read_text())))
        except (FileNotFoundError, ValueError):
            return
        known = {one["id"] for one in self.client.get("/v1/subscriptions")["subscriptions"]}
        for subscription_id in known & noted:
            self.client.delete(f"/v1/subscriptions/{subscription_id}")
        self._notes.unlink(missing_ok=True)


def play(hub: PlayedHub, players: Sequence[Player], say: Callable[[str], Any]) -> Reports:
    """Play all journeys whose players are there, at once."""
    left_out = {one.name: lacks for one in JOURNEYS if (lacks := one.missing(players))}
    journeys = [one(players, say) for one in JOURNEYS if one.name not in left_out]
    hub.forget()
    try:
        return Reports(side_by_side([lambda it=one: it.play(hub) for one in journeys]), left_out)  # type: ignore[misc]
    finally:
        hub.forget()


def _port(config: Any) -> int:
    """Where on this machine the system is looked for; 0 if it is elsewhere."""
    if getattr(config, "sftp_host", ""):
        return int(config.sftp_port) if config.sftp_host in _HERE else 0
    url = urlsplit(getattr(config, "base_url", ""))
    return url.port or 0 if url.hostname in _HERE else 0


_HERE = ("127.0.0.1", "localhost")
