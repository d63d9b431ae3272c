"""Licences end to end on a running hub: a court's word on a driver reaches the nation."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.dvla_driver.simulator import DvlaSimulator
from connectors.taxi_licensing.simulator import TaxiSimulator
from hub.delivery.receiver import Received
from hub.sdk.simulator import LOST
from hub.testing.live import LiveHub, live_hub, until

BIRMINGHAM, WESTMINSTER = "E08000025", "E09000033"
DISQUALIFIED, REVOKED = "driving.licence.disqualified", "licensing.taxi-licence.revoked"
ACCEPTED = "licensing.taxi-register.accepted"

#: A list of secrets in the settings of any of the connectors.
SECRETS = {"api_key", "callback_token", "password", "sftp_password"}


@dataclass(frozen=True)
class Town:
    """A hub, and all that is around it."""

    hub: LiveHub
    taxis: TaxiSimulator
    dvla: DvlaSimulator
    dvla_of_another: DvlaSimulator


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Town]:
    """Birmingham with its back offices, Notify and DVLA, beside Westminster, which licenses other drivers."""
    folder = tmp_path_factory.mktemp("town")
    taxis, dvla, another = TaxiSimulator(seed=3), DvlaSimulator(seed=4), DvlaSimulator(seed=5)
    with ExitStack() as stack:
        for simulator in (taxis, dvla, another):
            stack.enter_context(simulator.running())
        national = taxis.config() | {"folder": "/drop/national"}
        council = {
            name: value for name, value in taxis.config().items() if name == "folder" or "sftp" in name
        }
        instances = {
            "birmingham-taxis": ("taxi_licensing", BIRMINGHAM, council),
            "birmingham-national-taxis": ("taxi_licensing", BIRMINGHAM, national),
            "birmingham-dvla": ("dvla_driver", BIRMINGHAM, dvla.config() | {"page_size": 1}),
            "westminster-dvla": ("dvla_driver", WESTMINSTER, another.config()),
        }
        more = {
            name: {
                "connector": connector,
                "party": party,
                "poll_every_s": 0.5,
                "config": _written(folder, name, settings),
            }
            for name, (connector, party, settings) in instances.items()
        }
        kafka = os.environ.get("HUB_TEST_KAFKA", "embedded")
        hub = stack.enter_context(live_hub(folder, root, kafka, more_instances=more))
        yield Town(hub, taxis, dvla, another)


def _written(folder: Path, instance: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as they may stand in `hub.yaml`, secrets in files."""
    told = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    for name in SECRETS & told.keys():
        (folder / f"{instance}-{name}").write_text(told[name])
        told[name] = {"file": f"{instance}-{name}"}
    return told


def test_a_disqualified_drivers_licences_leave_the_national_database_and_only_their_council_hears_of_it(
    town: Town,
) -> None:
    """The hub tells; an officer of the council decides, in its register; the hub tells that too."""
    drivers = [town.dvla.license_driver() for _ in range(6)]
    for number, reference in enumerate(drivers):
        driver = {"DrivingLicenceNumber": town.dvla.numbers[reference]}
        town.taxis.change(reference, **driver, LicenceKind="driver", RegistrationMark="", PlateNumber="")
        town.taxis.change(f"HC-{number}", **driver)
    town.dvla_of_another.license_driver()
    marks = {row["RegistrationMark"] for row in town.taxis.register.values()} - {""}
    town.taxis.publish()
    assert until(lambda: town.taxis.licensed() == marks, 60)
    struck = drivers[:5]
    told_of = [DISQUALIFIED, REVOKED, ACCEPTED]
    with (
        town.hub.subscriber(BIRMINGHAM, types=told_of) as council,
        town.hub.subscriber(WESTMINSTER, types=told_of) as another,
    ):
        took = []
        for reference in struck:
            since = time.time()
            town.dvla.disqualify(reference, None)
            assert council.wait(lambda got, it=reference: it in _subjects(got, DISQUALIFIED), 30)
            asked = _first_asked(town.dvla, reference, since)
            took.append(
                next(one.at for one in council.received if one.attributes["subject"] == reference) - asked
            )
        print(f"from DVLA's answer to the council, s: {[round(one, 3) for one in took]}")
        town.taxis.faults = {LOST: 0.3, "503": 0.2}
        for reference in _subjects(council.received, DISQUALIFIED):
            town.taxis.revoke(reference)
        town.taxis.publish()
        gone = [f"HC-{number}" for number in range(5)]
        left = {row["RegistrationMark"] for name, row in town.taxis.register.items() if name not in gone} - {
            ""
        }
        assert until(lambda: town.taxis.licensed() == left, 60)
        town.taxis.have("a good day")
        assert council.wait(
            lambda got: (
                len(left) in [one.data["vehicles"] for one in got if one.attributes["type"] == ACCEPTED]
            ),
            60,
        )
        assert sorted(_subjects(council.received, DISQUALIFIED)) == sorted(struck)
        assert sorted(_subjects(council.received, REVOKED)) == sorted([*struck, *gone])
        assert set(_subjects(council.received, ACCEPTED)) == {"BCC"}
        assert not another.received
    log = (town.hub.data_dir / "up.log").read_text()
    assert not [number for number in town.dvla.numbers.values() if number in log]


def _subjects(received: list[Received], event_type: str) -> list[str]:
    """What events of a type were about, as often as they came."""
    return [one.attributes["subject"] for one in received if one.attributes["type"] == event_type]


def _first_asked(dvla: DvlaSimulator, reference: str, since: float) -> float:
    """When DVLA was first asked about a driver after a moment; both in epoch seconds."""
    number = dvla.numbers[reference].encode()
    return min(
        one.at.timestamp() for one in dvla.requests if number in one.body and one.at.timestamp() > since
    )
