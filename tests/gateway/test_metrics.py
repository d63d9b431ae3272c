"""What Prometheus is told of pollers is what a person would want to be called for."""

from __future__ import annotations

from pathlib import Path
from time import time

import msgspec

from hub.gateway.health import Health
from hub.gateway.metrics import HealthMetrics
from hub.gateway.room import Room
from hub.stream.conditions import KnownConditions
from hub.stream.ingest import Ingest
from hub.stream.workers import PollerReport, Report, Workers


def test_a_poller_fails_from_its_first_failure_on_and_not_while_its_next_round_is_ahead(
    kafka: str, tmp_path: Path
) -> None:
    now = time()
    daily = PollerReport(good_at=now - 80_000, next_at=now + 6_400)
    away = PollerReport(good_at=now - 80_000, next_at=now + 60, failing_since=now - 4_000, error="503")
    workers = Workers()
    report = Report(worker="w", pid=1, at=now, started=now, pollers={"daily/poll": daily, "away/poll": away})
    workers.change("w", msgspec.json.encode(report))
    ingest = Ingest(kafka)
    health = Health(
        ingest=ingest,
        workers=workers,
        room=Room(10, 1_000),
        partitions=4,
        data_dir=tmp_path,
        known=lambda: True,
        sinks=[],
        conditions=KnownConditions(),
    )
    failing = {
        sample.labels["poller"]: round(sample.value, -2)
        for metric in HealthMetrics(health).collect()
        for sample in metric.samples
        if sample.name == "hub_poller_failing_seconds"
    }
    ingest.close()
    assert failing == {"daily/poll": 0, "away/poll": 4_000}
