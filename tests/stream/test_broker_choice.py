"""One setting chooses the broker, and a choice that gives none says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.stream.broker import BrokerError, given, open_broker
from hub.stream.broker.ports import free_port


def test_a_broker_that_is_there_is_used_and_left_alone(kafka: str, tmp_path: Path) -> None:
    broker = open_broker(kafka, tmp_path)
    broker.stop()
    assert broker.alive()
    assert open_broker(kafka, tmp_path).address == kafka
    assert not list(tmp_path.iterdir())


def test_a_version_that_may_leave_out_a_marker_is_told(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    open_broker(kafka, tmp_path, say=told.append)
    assert told == [], "the one that is embedded is not such a one"
    known = given._metadata_version(kafka)
    assert known >= 7, "Kafka 3.3, the first that can be without ZooKeeper"
    monkeypatch.setattr(given, "_KAFKA_4_3", known)
    open_broker(kafka, tmp_path, say=told.append)
    assert "Take 4.2" in told[0]


def test_one_that_forgets_what_was_read_before_its_records_are_gone_is_told(kafka: str) -> None:
    assert given.forgetful(kafka, 90) == "", "the one that is embedded remembers"
    days = int(given._remembers(kafka)) // 1440
    told = given.forgetful(kafka, days + 1)
    assert f"offsets.retention.minutes to {(days + 1) * 1440} or more" in told


def test_an_address_where_nobody_answers_says_what_to_do(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(BrokerError, match=rf"no Kafka answers at {address} .* correct --kafka"):
        open_broker(address, tmp_path)


def test_one_of_several_addresses_is_enough(kafka: str, tmp_path: Path) -> None:
    several = f"127.0.0.1:{free_port()},{kafka}"
    assert open_broker(several, tmp_path).address == several


@pytest.mark.parametrize("setting", ["embeded", "", "localhost", "localhost:kafka", "kafka:9092,"])
def test_a_setting_that_names_no_broker_is_told_what_would(setting: str, tmp_path: Path) -> None:
    with pytest.raises(
        BrokerError, match=r"names no Kafka\. Give `embedded`, `testcontainers`, or host:port"
    ):
        open_broker(setting, tmp_path)


def test_without_docker_testcontainers_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    with pytest.raises(BrokerError, match=r"Docker does not answer .* Start Docker, or use the embedded"):
        open_broker("testcontainers", tmp_path)
