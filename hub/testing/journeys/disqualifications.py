"""A court disqualifies a taxi driver: their council, and only it, hears of it, and the national database in the end."""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from connectors.dvla_driver.simulator import DvlaSimulator
from connectors.taxi_licensing.simulator import TaxiSimulator
from hub.delivery.receiver import Received, Receiver
from hub.sdk.simulator import LOST
from hub.testing.journeys.base import Journey, Key, Played, RunningHub, until

DISQUALIFIED, REVOKED = "driving.licence.disqualified", "licensing.taxi-licence.revoked"
ACCEPTED = "licensing.taxi-register.accepted"
_DATABASE, _HELD, _GONE = "national database", "vehicle is licensed", "vehicle is gone"


@dataclass(frozen=True, slots=True)
class _Vehicle:
    reference: str
    mark: str


class Disqualifications(Journey):
    """The hub tells; an officer of the council decides, in its register; the hub tells that too, on a bad day.

    Of the drivers on the council's list, all but the last are disqualified. Each drives a vehicle, which is in the
    national database first. Whatever another council hears is unexpected.
    """

    name = "disqualified drivers"
    needs = (DvlaSimulator, DvlaSimulator, TaxiSimulator)

    def perform(self, hub: RunningHub, timeout: float) -> Played:
        """See the class."""
        ((party, taxis),) = self.of(TaxiSimulator).items()
        everywhere = self.of(DvlaSimulator)
        dvla = everywhere[party]
        vehicles = _license(taxis, dvla)
        struck, left = sorted(vehicles)[:-1], sorted(vehicles)[-1:]
        with ExitStack() as stack:
            types = [DISQUALIFIED, REVOKED, ACCEPTED]
            subscribers = {who: stack.enter_context(hub.subscriber(who, types=types)) for who in everywhere}
            council = subscribers[party]
            taxis.publish()
            until(lambda: len(taxis.licensed()) == len(vehicles), timeout)
            before = taxis.licensed()
            # A change is one to what was known: each is asked for again once the answer before is kept.
            until(lambda: all(dvla.enquiries[dvla.numbers[driver]] > 1 for driver in vehicles), timeout)
            self.say(
                f"the national database has {len(before)} vehicles; {len(struck)} drivers are disqualified"
            )
            took = [_disqualify(dvla, council, driver, timeout) for driver in struck]
            self.say(
                "the council heard of it and revokes their licences; the national database loses answers"
            )
            taxis.faults = {LOST: 0.3, "503": 0.2}
            for driver in _subjects(council.received, DISQUALIFIED):
                taxis.revoke(driver)
            taxis.publish()
            until(lambda: taxis.licensed() == {vehicles[driver].mark for driver in left}, timeout)
            taxis.have("a good day")
            accepted = council.wait(partial(_all_told, 2 * len(struck), len(left)), timeout)
        heard = [
            (who, one.attributes["type"], one.attributes["subject"])
            for who, receiver in subscribers.items()
            for one in receiver.received
            if who != party or one.attributes["type"] != ACCEPTED  # as often as it was handed over
        ]
        heard += [(_DATABASE, _GONE, mark) for mark in before - taxis.licensed()]
        heard += [(_DATABASE, _HELD, mark) for mark in taxis.licensed()]
        heard += [(party, ACCEPTED, "the last")] * accepted
        expected: set[Key] = {(party, ACCEPTED, "the last")}
        expected |= {(_DATABASE, _HELD, vehicles[driver].mark) for driver in left}
        for driver in struck:
            expected |= {(party, DISQUALIFIED, driver), (_DATABASE, _GONE, vehicles[driver].mark)}
            expected |= {(party, REVOKED, driver), (party, REVOKED, vehicles[driver].reference)}
        return Played(expected, heard, {"disqualified": len(struck), "from_dvla_to_council_s": took})


def _license(taxis: TaxiSimulator, dvla: DvlaSimulator) -> dict[str, _Vehicle]:
    """Enter every driver with a vehicle into the council's register, under new plates: so it differs from whatever
    the hub knows from an earlier play."""
    plates, vehicles = secrets.token_hex(3).upper(), {}
    for number, (reference, licence) in enumerate(sorted(dvla.numbers.items())):
        driver, vehicle = {"DrivingLicenceNumber": licence}, f"HC-{number}"
        taxis.change(reference, **driver, LicenceKind="driver", RegistrationMark="", PlateNumber="")
        taxis.change(vehicle, **driver, PlateNumber=f"{plates}-{number}")
        vehicles[reference] = _Vehicle(vehicle, taxis.register[vehicle]["RegistrationMark"])
    return vehicles


def _disqualify(dvla: DvlaSimulator, council: Receiver, driver: str, timeout: float) -> float:
    """Disqualify for life and wait until the council hears; how long that took from DVLA's answer, seconds."""
    since, number = time.time(), dvla.numbers[driver].encode()
    dvla.disqualify(driver, None)
    if not council.wait(lambda got: driver in _subjects(got, DISQUALIFIED), timeout):
        return timeout
    told = next(one.at for one in council.received if one.attributes["subject"] == driver)
    asked = (one.at.timestamp() for one in dvla.requests if number in one.body)
    return round(told - min(moment for moment in asked if moment > since), 3)


def _subjects(received: list[Received], event_type: str) -> list[str]:
    """What events of a type were about, as often as they came."""
    return [one.attributes["subject"] for one in received if one.attributes["type"] == event_type]


def _all_told(revoked: int, vehicles: int, received: list[Received]) -> bool:
    """Whether the council heard of every licence, and that the database took over the register as it stands now."""
    taken = [one.data["vehicles"] for one in received if one.attributes["type"] == ACCEPTED]
    return vehicles in taken and len(_subjects(received, REVOKED)) >= revoked
