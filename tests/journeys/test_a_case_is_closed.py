"""A licence fee is paid, the licence is renewed, somebody is written to, and the receipt of the email closes the case:
on a running hub."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.govuk_notify.simulator import NotifySimulator
from connectors.premises_licensing.simulator import PremisesSimulator
from hub.delivery.receiver import Received
from hub.sdk.simulator import LOST
from hub.testing.journeys.base import Player
from hub.testing.journeys.licence_fees import LicenceFees
from hub.testing.live import COUNCILS, LiveHub, as_instance, live_hub, until

BIRMINGHAM = "E08000025"
FEE = "licensing.fee.paid"
TAKEN, ARRIVED, FAILED = (f"notifications.message.{verb}" for verb in ("accepted", "delivered", "failed"))
TOLD = [FEE, TAKEN, ARRIVED, FAILED]


@pytest.fixture(scope="module")
def notify() -> Iterator[NotifySimulator]:
    simulator = NotifySimulator(seed=11)
    with simulator.running():
        yield simulator


@pytest.fixture(scope="module")
def premises() -> Iterator[PremisesSimulator]:
    simulator = PremisesSimulator(seed=12)
    with simulator.running():
        yield simulator


@pytest.fixture(scope="module")
def hub(
    tmp_path_factory: pytest.TempPathFactory, root: Path, notify: NotifySimulator, premises: PremisesSimulator
) -> Iterator[LiveHub]:
    """A hub on which Birmingham has GOV.UK Pay, GOV.UK Notify, and its register of premises licences."""
    folder = tmp_path_factory.mktemp("closed")
    instances = as_instance(folder, "birmingham-notify", BIRMINGHAM, notify)
    instances |= as_instance(folder, "birmingham-premises", BIRMINGHAM, premises)
    kafka = os.environ.get("HUB_TEST_KAFKA", "embedded")
    fast = {"allow_local": True, "speed": 1_000}
    with live_hub(folder, root, kafka, more_instances=instances, delivery=fast) as running:
        notify.webhook_url = f"{running.gateway}/webhooks/birmingham-notify"
        yield running


def cases(received: list[Received]) -> dict[str, list[str]]:
    """What was heard, in order, by correlation id."""
    found = defaultdict(list)
    for one in received:
        found[one.attributes["correlationid"]].append(one.attributes["type"])
    return dict(found)


def closed(got: list[Received]) -> int:
    return sum(one.attributes["type"] in (ARRIVED, FAILED) for one in got)


def test_the_payer_gets_one_email_and_its_receipt_closes_the_case(
    hub: LiveHub, notify: NotifySimulator
) -> None:
    before = len(notify.notifications)
    pay = hub.simulators["birmingham-pay"]
    with hub.subscriber(BIRMINGHAM, types=TOLD) as council:
        pay.paid_payment("TAXI/2026/7", 12_500, email="rowan.ashby@example.com")
        pay.paid_payment("TAXI/2026/8", 12_500, email="perm-fail@simulator.notify")
        pay.paid_payment("TAXI/2026/9", 12_500)  # left no address
        assert council.wait(lambda got: len(got) == 7 and closed(got) == 2, 60)
        heard = cases(council.received)
        assert sorted(map(sorted, heard.values())) == sorted(
            [sorted([FEE, TAKEN, ARRIVED]), sorted([FEE, TAKEN, FAILED]), [FEE]]
        )
        assert sorted(one["email_address"] for one in notify.notifications[before:]) == [
            "perm-fail@simulator.notify",
            "rowan.ashby@example.com",
        ]
        assert "example.com" not in hub.logs()


def test_on_a_bad_day_nobody_is_written_to_twice_and_nobody_is_forgotten(
    hub: LiveHub, notify: NotifySimulator
) -> None:
    before = len(notify.notifications)
    notify.faults = {LOST: 0.3, "503": 0.2, "429": 0.1, "twice": 0.5}
    pay = hub.simulators["birmingham-pay"]
    payers = [f"payer-{number}@example.com" for number in range(15)]
    with hub.subscriber(BIRMINGHAM, types=TOLD) as council:
        for number, payer in enumerate(payers):
            pay.paid_payment(f"TEN-2026-{number}", 2_100, email=payer)
        assert until(lambda: len(notify.notifications) >= before + 8, 60)
        notify.faults = {"twice": 0.5}
        assert council.wait(lambda got: len(got) >= 45 and closed(got) >= 15, 90)
        assert set(map(tuple, map(sorted, cases(council.received).values()))) == {
            tuple(sorted([FEE, TAKEN, ARRIVED]))
        }
        assert max(Counter(one.id for one in council.received).values()) == 1
    assert sorted(one["email_address"] for one in notify.notifications[before:]) == sorted(payers)


def test_a_fee_renews_the_licence_and_the_receipt_of_an_email_to_the_licensee_closes_the_case(
    hub: LiveHub, notify: NotifySimulator, premises: PremisesSimulator
) -> None:
    players = [Player(name, COUNCILS[name], pay) for name, pay in hub.simulators.items()]
    players += [
        Player("birmingham-notify", BIRMINGHAM, notify),
        Player("birmingham-premises", BIRMINGHAM, premises),
    ]
    for pay in hub.simulators.values():
        pay.ledger.payments.clear()  # which a poller would find whenever its time has come
    report = LicenceFees(players).play(hub)
    assert report.right, report
    assert report.expected == 2 * 5 * 4 + 5 * 5 + 1
    assert "example.com" not in hub.logs()
