"""`hub bench` says what the hub can do on a cluster, and leaves nothing behind there."""

from __future__ import annotations

import json

from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from hub.cli.main import app


def test_a_cluster_is_measured_with_the_configured_routes_and_left_as_it_was(kafka: str) -> None:
    client = AdminClient({"bootstrap.servers": kafka})
    before = set(client.list_topics(timeout=30).topics)
    ended = CliRunner().invoke(app, ["bench", "--kafka", kafka, "--events", "2000", "--json"])
    assert ended.exit_code == 0, ended.output
    found = json.loads(ended.stdout)
    assert 0 < found["events"] <= 2_000
    assert found["outputs"] > 0
    assert found["events_per_second"] > 0
    assert 0 < found["accept_ms"]["p50"] <= found["accept_ms"]["p99"]
    assert 0 < found["transaction_ms"]["p50"] <= found["transaction_ms"]["p99"]
    assert {one for one in client.list_topics(timeout=30).topics if one.startswith("hub-bench")} <= before


def test_a_cluster_that_is_not_there_is_said_so() -> None:
    ended = CliRunner().invoke(app, ["bench", "--kafka", "127.0.0.1:9", "--events", "1000"])
    assert ended.exit_code == 1
    assert "no Kafka answers at 127.0.0.1:9 (Connection refused). Start it" in ended.output
