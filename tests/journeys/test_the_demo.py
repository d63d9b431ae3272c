"""`hub demo`: all journeys on their bad days, and a verdict that others can read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from connectors.taxi_licensing.connector import JOBS
from connectors.taxi_licensing.simulator import TaxiSimulator
from hub.cli.demo import moved
from hub.testing.journeys.base import Key, Played, Report
from hub.testing.journeys.demonstration import JOURNEYS, Reports
from hub.testing.live import LiveHub

JUDGED = ("lost", "duplicated", "unexpected")


def demo(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hub", "demo", "--json", *options],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_all_journeys_are_played_and_nothing_is_lost_duplicated_or_unexpected(root: Path) -> None:
    if os.environ.get("HUB_TEST_KAFKA", "embedded") != "embedded":
        pytest.skip("the demo is about the embedded Kafka")
    done = demo(root, "--once")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert [one["journey"] for one in told["journeys"]] == [one.name for one in JOURNEYS]
    assert all(one["expected"] > 20 and one["delivered"] == one["expected"] for one in told["journeys"])
    assert [[one[name] for name in JUDGED] for one in [told, *told["journeys"]]] == [[0, 0, 0]] * 4
    assert (told["payments"], told["dead_letters"], told["failed_attempts"]) == (10, 1, 2)
    assert told["start_to_first_delivery_s"] > told["first_delivery_s"] > 0
    assert all(f"{one.name}: is over" in done.stderr for one in JOURNEYS)


def test_what_is_not_on_this_machine_is_not_played_but_named(hub: LiveHub) -> None:
    """Whose accounts of GOV.UK Pay are real ones, as far as its configuration says."""
    done = demo(hub.config.parent, "--config", str(hub.config), "--data-dir", str(hub.data_dir))
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["journeys"] == []
    assert set(told["left_out"]) == {one.name for one in JOURNEYS}
    assert told["left_out"]["licence fees"] == ["govuk_notify", "govuk_pay", "premises_licensing"]


CAME: Key = ("E08000025", "licensing.fee.paid", "PREM/1")
OTHER: Key = ("E09000033", "licensing.fee.paid", "PREM/1")


@pytest.mark.parametrize(
    ("heard", "verdict"),
    [([CAME], (0, 0, 0)), ([], (1, 0, 0)), ([CAME, CAME, CAME], (0, 2, 0)), ([CAME, OTHER], (0, 0, 1))],
)
def test_a_journey_is_judged_by_what_was_heard_where_and_how_often(
    heard: list[Key], verdict: tuple[int, int, int]
) -> None:
    report = Report.of("one", Played({CAME}, heard), 1.0)
    told = Reports([report, Report.of("another", Played({OTHER}, [OTHER]), 2.0)], {})
    assert tuple(told.to_dict()[name] for name in JUDGED) == verdict
    assert told.right == report.right == (verdict == (0, 0, 0))
    assert told.to_dict()["lost_keys"] == ([CAME] if verdict[0] else [])


def test_ports_of_systems_on_this_machine_are_moved_together_and_no_others() -> None:
    told = moved(
        {
            "town-register": {"sftp_host": "127.0.0.1", "sftp_port": 18467, "folder": "/drop"},
            "town-database": {"api_url": "http://127.0.0.1:18468/v1", "real": "https://example.gov.uk:443"},
        }
    )
    assert set(told) == {"HUB_TOWN_REGISTER_SFTP_PORT", "HUB_TOWN_DATABASE_API_URL"}
    port = int(told["HUB_TOWN_REGISTER_SFTP_PORT"])
    assert port != 18467
    assert told["HUB_TOWN_DATABASE_API_URL"] == f"http://127.0.0.1:{port + 1}/v1"


def test_a_national_database_that_was_started_anew_names_no_job_as_it_did_before() -> None:
    """Or what it says of the new job would be taken for what it said of the old one."""
    names = set()
    for _ in range(2):
        database = TaxiSimulator()
        with database.running():
            asked = {"filename": "CAZ-2026-01-01-BCC", "s3Bucket": "taxi-register-csv"}
            key = {"X-API-Key": database.api_key, "X-Correlation-Id": "00000000-0000-4000-8000-000000000000"}
            names.add(httpx2.post(database.url + JOBS, json=asked, headers=key).json()["jobName"])
    assert len(names) == 2
