"""Licences end to end on a running hub: a court's word on a driver reaches the nation."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from connectors.dvla_driver.simulator import DvlaSimulator
from connectors.taxi_licensing.simulator import TaxiSimulator
from hub.testing.journeys.base import Player
from hub.testing.journeys.disqualifications import Disqualifications
from hub.testing.live import as_instance, live_hub

BIRMINGHAM, WESTMINSTER = "E08000025", "E09000033"


def test_a_disqualified_drivers_licences_leave_the_national_database_and_only_their_council_hears_of_it(
    tmp_path: Path, root: Path
) -> None:
    taxis, dvla, another = TaxiSimulator(seed=3), DvlaSimulator(seed=4), DvlaSimulator(seed=5)
    for _ in range(5):
        dvla.license_driver()
    with ExitStack() as stack:
        for simulator in (taxis, dvla, another):
            stack.enter_context(simulator.running())
        register = {"authority_id": None, "api_url": None, "api_key": None, "settled_after_seconds": 0.5}
        instances = {
            **as_instance(tmp_path, "birmingham-taxis", BIRMINGHAM, taxis, **register),
            **as_instance(tmp_path, "national-taxis", BIRMINGHAM, taxis, folder="/drop/national"),
            **as_instance(tmp_path, "birmingham-dvla", BIRMINGHAM, dvla, page_size=1),
            **as_instance(tmp_path, "westminster-dvla", WESTMINSTER, another),
        }
        kafka = os.environ.get("HUB_TEST_KAFKA", "embedded")
        hub = stack.enter_context(live_hub(tmp_path, root, kafka, more_instances=instances))
        players = [
            Player("birmingham-taxis", BIRMINGHAM, taxis),
            Player("birmingham-dvla", BIRMINGHAM, dvla),
            Player("westminster-dvla", WESTMINSTER, another),
        ]
        report = Disqualifications(players).play(hub)
        print(f"from DVLA's answer to the council, s: {report.more['from_dvla_to_council_s']}")
        assert report.right, report
        assert report.more["disqualified"] == 5
        log = hub.logs()
        assert not [number for number in dvla.numbers.values() if number in log]
