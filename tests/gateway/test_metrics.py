"""What Prometheus is told of pollers and sinks is what a person would want to be called for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from time import time

import msgspec
import pytest
from prometheus_client.core import Metric

from hub.gateway.health import Health
from hub.gateway.metrics import HealthMetrics
from hub.gateway.room import Room
from hub.stream.conditions import Condition, KnownConditions
from hub.stream.ingest import Ingest
from hub.stream.workers import PollerReport, Report, Workers

Collected = Callable[[str], Metric]


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
def conditions() -> KnownConditions:
    return KnownConditions()


@pytest.fixture
def collected(
    kafka: str, tmp_path: Path, workers: Workers, conditions: KnownConditions
) -> Iterator[Collected]:
    """A metric by its name, of a gateway that knows these workers and conditions, and of three sinks."""
    ingest = Ingest(kafka)
    health = Health(
        ingest=ingest,
        workers=workers,
        room=Room(10, 1_000),
        partitions=4,
        data_dir=tmp_path,
        known=lambda: True,
        sinks=["town/ledger", "town/letters", "town/never-used"],
        conditions=conditions,
    )
    yield lambda name: next(one for one in HealthMetrics(health).collect() if one.name == name)
    ingest.close()


def test_a_poller_fails_from_its_first_failure_on_and_not_while_its_next_round_is_ahead(
    workers: Workers, collected: Collected
) -> None:
    now = time()
    daily = PollerReport(good_at=now - 80_000, next_at=now + 6_400)
    away = PollerReport(good_at=now - 80_000, next_at=now + 60, failing_since=now - 4_000, error="503")
    report = Report(worker="w", pid=1, at=now, started=now, pollers={"daily/poll": daily, "away/poll": away})
    workers.change("w", msgspec.json.encode(report))
    failing = collected("hub_poller_failing_seconds").samples
    assert {one.labels["poller"]: round(one.value, -2) for one in failing} == {
        "daily/poll": 0,
        "away/poll": 4_000,
    }


def test_a_sink_that_is_halted_is_ill_by_its_name_and_one_that_works_is_not(
    conditions: KnownConditions, collected: Collected
) -> None:
    conditions.change("town/ledger", msgspec.json.encode(Condition(error="401", error_at=2, halted=True)))
    conditions.change("town/letters", msgspec.json.encode(Condition(good_at=2)))
    sinks = [one.labels for one in collected("hub_ill").samples if one.labels["part"].startswith("sink")]
    assert sinks == [{"worker": "", "part": "sink town/ledger", "kind": "halted"}]
