"""Licences end to end on a running hub: a fee renews a licence, and a court's word on a driver reaches the nation."""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.dvla_driver.simulator import DvlaSimulator
from connectors.govuk_notify.simulator import NotifySimulator
from connectors.premises_licensing.simulator import SILENT, PremisesSimulator
from connectors.taxi_licensing.simulator import TaxiSimulator
from hub.delivery.receiver import Received
from hub.sdk.simulator import LOST
from hub.testing.live import LiveHub, live_hub, until

BIRMINGHAM, WESTMINSTER = "E08000025", "E09000033"
FEE, RENEWED = "licensing.fee.paid", "licensing.premises-licence.renewed"
TAKEN, ARRIVED = "notifications.message.accepted", "notifications.message.delivered"
DISQUALIFIED, REVOKED = "driving.licence.disqualified", "licensing.taxi-licence.revoked"
ACCEPTED = "licensing.taxi-register.accepted"

#: A list of secrets in the settings of any of the connectors.
SECRETS = {"api_key", "callback_token", "password", "sftp_password"}


@dataclass(frozen=True)
class Town:
    """A hub, and all that is around it."""

    hub: LiveHub
    notify: NotifySimulator
    premises: PremisesSimulator
    taxis: TaxiSimulator
    dvla: DvlaSimulator
    dvla_of_another: DvlaSimulator


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Town]:
    """Birmingham with its back offices, Notify and DVLA, beside Westminster, which licenses other drivers."""
    folder = tmp_path_factory.mktemp("town")
    notify, premises, taxis = NotifySimulator(seed=1), PremisesSimulator(seed=2), TaxiSimulator(seed=3)
    dvla, another = DvlaSimulator(seed=4), DvlaSimulator(seed=5)
    with ExitStack() as stack:
        for simulator in (notify, premises, taxis, dvla, another):
            stack.enter_context(simulator.running())
        national = taxis.config() | {"folder": "/drop/national"}
        council = {
            name: value for name, value in taxis.config().items() if name == "folder" or "sftp" in name
        }
        instances = {
            "birmingham-notify": ("govuk_notify", BIRMINGHAM, notify.config()),
            "birmingham-premises": ("premises_licensing", BIRMINGHAM, premises.config()),
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
        notify.webhook_url = f"{hub.gateway}/webhooks/birmingham-notify"
        yield Town(hub, notify, premises, taxis, dvla, another)


def _written(folder: Path, instance: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings as they may stand in `hub.yaml`, secrets in files."""
    told = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    for name in SECRETS & told.keys():
        (folder / f"{instance}-{name}").write_text(told[name])
        told[name] = {"file": f"{instance}-{name}"}
    return told


def cases(received: list[Received]) -> dict[str, Counter[str]]:
    """How often each type was heard, by correlation id."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in received:
        found[one.attributes["correlationid"]][one.attributes["type"]] += 1
    return dict(found)


def test_a_fee_renews_the_licence_and_the_receipt_of_an_email_closes_the_case(town: Town) -> None:
    """On a bad day: answers are lost, and the back office is slow to look."""
    references = [f"PREM/2026/{number:03}" for number in range(5)]
    for reference in references:
        town.premises.change(reference, LicenceEndDate="20/03/2026")
    town.notify.faults, town.premises.faults = {LOST: 0.3, "503": 0.2}, {SILENT: 0.5}
    with town.hub.subscriber(BIRMINGHAM, types=[FEE, RENEWED, TAKEN, ARRIVED]) as council:
        pay = town.hub.simulators["birmingham-pay"]
        paid = {
            pay.paid_payment(reference, 19_000, metadata={"licence_type": "premises"})
            for reference in references
        }
        pay.paid_payment("TAXI/2026/1", 12_500, metadata={"licence_type": "taxi-driver"})
        assert council.wait(
            lambda got: sum(one.attributes["type"] == ARRIVED for one in got) == len(references), 120
        )
        town.notify.have("a good day")
        town.premises.have("a good day")
        whole = Counter([FEE, RENEWED, TAKEN, ARRIVED])
        assert sorted(map(str, cases(council.received).values())) == sorted(
            map(str, [*[whole] * len(references), Counter([FEE])])
        )
    assert set(town.premises.renewed) == paid
    assert {town.premises.register[one]["LicenceEndDate"] for one in references} == {"20/03/2027"}
    written = [one["email_address"] for one in town.notify.notifications]
    assert sorted(written) == sorted(
        f"licensee+{one.lower().replace('/', '-')}@example.com" for one in references
    )
    assert "example.com" not in (town.hub.data_dir / "up.log").read_text()


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
        assert statistics.median(took) < 1
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
