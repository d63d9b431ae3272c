"""An event leaves the hub through a sink, and what came of it comes back: on a running hub, killed in between."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from hub.testing.live import LiveHub, live_hub, until
from tests.journeys.town_ledger.simulator import LedgerSimulator

BIRMINGHAM = "E08000025"
FEE, BOOKED = "licensing.fee.paid", "payments.refund.submitted"


@pytest.fixture(scope="module")
def ledger() -> Iterator[LedgerSimulator]:
    simulator = LedgerSimulator(seed=7)
    with simulator.running():
        yield simulator


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory, root: Path, ledger: LedgerSimulator) -> Iterator[LiveHub]:
    """A hub with two workers, to which a town's ledger is connected beside GOV.UK Pay."""
    folder = tmp_path_factory.mktemp("town")
    (folder / "connectors").mkdir()
    (folder / "connectors" / "govuk_pay").symlink_to(root / "connectors" / "govuk_pay")
    (folder / "connectors" / "town_ledger").symlink_to(Path(__file__).parent / "town_ledger")
    sinks = {"town": {"connector": "town_ledger", "party": BIRMINGHAM, "config": {"ledger_url": ledger.url}}}
    with live_hub(
        folder, root, os.environ.get("HUB_TEST_KAFKA", "embedded"), workers=2, more_instances=sinks
    ) as running:
        yield running


def fees(hub: LiveHub, count: int, name: str) -> set[str]:
    pay = hub.simulators["birmingham-pay"]
    return {pay.paid_payment(f"PREM/{name}/{number}", 1_000 + number) for number in range(count)}


def booked(ledger: LedgerSimulator) -> list[str]:
    return [booking["payment"] for booking in ledger.bookings.values()]


def test_what_is_paid_is_booked_once_and_its_booking_reaches_the_council_in_the_same_case(
    town: LiveHub, ledger: LedgerSimulator
) -> None:
    with town.subscriber(BIRMINGHAM, types=[FEE, BOOKED]) as council:
        paid = fees(town, 5, "plain")
        assert council.wait(lambda got: len(got) == 10, 60)
        assert sorted(booked(ledger)) == sorted(paid)
        cases = {one.attributes["correlationid"]: set() for one in council.received}
        for one in council.received:
            cases[one.attributes["correlationid"]].add(one.attributes["type"])
        assert list(cases.values()) == [{FEE, BOOKED}] * 5


def test_answers_lost_and_a_hub_that_is_killed_lead_to_no_second_booking_and_no_missing_one(
    town: LiveHub, ledger: LedgerSimulator
) -> None:
    before = len(ledger.bookings)
    ledger.have("some answers lost")
    with town.subscriber(BIRMINGHAM, types=[BOOKED]) as council:
        paid = fees(town, 20, "killed")
        assert until(lambda: len(ledger.bookings) >= before + 5, 60)
        town.kill()
        town.start()
        ledger.have("a good day")
        assert until(lambda: len(ledger.bookings) == before + 20, 60)
        assert council.wait(lambda got: {one.data["payment_id"] for one in got} == paid, 60)
        assert sorted(booked(ledger)[before:]) == sorted(paid)
        assert len({one.id for one in council.received}) == 20


def test_an_operator_sees_that_an_instance_halted_and_has_it_go_on(
    town: LiveHub, ledger: LedgerSimulator
) -> None:
    before = len(ledger.bookings)
    ledger.have("token revoked")
    paid = fees(town, 2, "revoked")
    part = lambda: town.client.get("/v1/instances/town")["parts"][0]  # noqa: E731
    assert until(lambda: part()["state"] == "halted")
    assert "401" in part()["error"]
    assert [
        one["kind"] for one in town.client.get("/v1/status")["ill"] if one["part"] == "sink town/ledger"
    ] == ["halted"]
    told = {"worker": "", "part": "sink town/ledger", "kind": "halted"}
    assert told in httpx2.get(f"{town.gateway}/readyz").json()["ill"]
    metric = 'hub_ill{kind="halted",part="sink town/ledger",worker=""} 1.0'
    assert metric in httpx2.get(f"{town.gateway}/metrics").text.splitlines()
    ledger.have("a good day")
    town.client.post("/v1/instances/town/resume", {"reason": "a new token"})
    assert until(lambda: part()["state"] == "well")
    assert until(lambda: set(booked(ledger)[before:]) == paid)


def test_while_an_instance_is_paused_nothing_leaves_and_nothing_is_lost(
    town: LiveHub, ledger: LedgerSimulator
) -> None:
    before = len(ledger.bookings)
    assert town.client.post("/v1/instances/town/pause", {"reason": "year end"})["paused"]
    with town.subscriber(BIRMINGHAM, types=[FEE]) as council:
        paid = fees(town, 3, "paused")
        assert council.wait(lambda got: len(got) == 3, 60)  # so it is in the inbox
    assert len(ledger.bookings) == before
    town.client.post("/v1/instances/town/resume", {})
    assert until(lambda: set(booked(ledger)[before:]) == paid)


def test_a_replay_reaches_the_council_and_of_its_sinks_only_those_that_the_plan_names(
    town: LiveHub, tmp_path: Path
) -> None:
    def replay(*words: str) -> None:
        hub, plan = ["--data-dir", str(town.data_dir)], str(tmp_path / f"plan-{len(words)}.json")
        asked = ["--since", since, "--to", BIRMINGHAM, "--config", str(town.config), "--out", plan, *words]
        for command in (["plan", *asked], ["run", plan, "--yes"]):
            done = CliRunner().invoke(app, ["replay", *command, *hub])
            assert done.exit_code == 0, done.output

    def deliveries_to_the_sink(event: str) -> int:
        known = {one["id"] for one in town.client.get("/v1/events", type=FEE)["items"]}
        steps = town.client.get(f"/v1/events/{event}")["steps"] if event in known else ()
        return sum((step["stage"], step["outcome"]) == ("sink", "delivered") for step in steps)

    since, pay = datetime.now(UTC).isoformat(), town.simulators["birmingham-pay"]
    with town.subscriber(BIRMINGHAM, types=[FEE]) as council:
        pay.paid_payment("PREM/replayed", 1_000)
        assert council.wait(lambda got: len(got) == 1, 60)
        first = council.received[0].id
        assert until(lambda: deliveries_to_the_sink(first) == 1)
        replay()
        replay("--sink", "town")
        assert council.wait(lambda got: [one.id for one in got] == [first] * 3, 60)
        pay.paid_payment("PREM/replayed", 1_000)  # when this has passed, all before it of its subject has
        assert council.wait(lambda got: len(got) == 4, 60)
        assert until(lambda: deliveries_to_the_sink(council.received[3].id) == 1)
        assert deliveries_to_the_sink(first) == 2
