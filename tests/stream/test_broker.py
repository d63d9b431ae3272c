"""The embedded broker: real Kafka that starts from nothing, keeps its data, and is never left behind."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from hub.stream.broker import BrokerError, distribution, open_broker, ports
from hub.stream.broker.cluster import EmbeddedCluster
from hub.stream.broker.embedded import EmbeddedBroker
from hub.stream.broker.settings import server_properties
from hub.stream.broker.storage import ensure_formatted, new_id
from hub.stream.reading import read_all


def make_topic(address: str, name: str, replicas: int = 1) -> None:
    client = AdminClient({"bootstrap.servers": address})
    client.create_topics([NewTopic(name, 1, replicas)])[name].result(30)


def write(address: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": address, "acks": "all", "delivery.timeout.ms": 30_000})
    failed = []
    producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error) if error else None)
    assert producer.flush(30) == 0
    assert not failed


def values(address: str, topic: str) -> list[bytes]:
    return [message.value() for message in read_all(address, topic, 0)]


def gone(pid: int, within: float = 20) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        told = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        if not told.stdout or told.stdout.startswith("Z"):
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("broker")


@pytest.fixture(scope="module")
def broker(data_dir: Path) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(data_dir) as running:
        yield running


def test_what_was_written_is_there_after_a_restart_at_the_same_address(tmp_path: Path) -> None:
    data_dir = tmp_path / "Großes, neues Verzeichnis"  # whatever its name
    broker = open_broker("embedded", data_dir)
    make_topic(broker.address, "kept")
    write(broker.address, "kept", b"before")
    broker.stop()
    again = open_broker("embedded", data_dir)
    try:
        assert again.address == broker.address
        assert values(again.address, "kept") == [b"before"]
    finally:
        again.stop()


def test_a_broker_ends_when_its_owner_is_killed_and_the_next_owner_finds_the_data(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from hub.stream.broker.embedded import EmbeddedBroker\n"
        "b = EmbeddedBroker(Path(sys.argv[1])); b.start(); print(b.pid, b.address, flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid, address = owner.stdout.readline().split()
    make_topic(address, "kept")
    write(address, "kept", b"before")
    owner.kill()
    owner.wait()
    with EmbeddedBroker(tmp_path) as again:  # it may have to wait for the first to be gone
        assert gone(int(pid), within=0.5)
        assert values(again.address, "kept") == [b"before"]


def test_a_frozen_broker_ends_too_when_its_owner_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from hub.stream.broker.embedded import EmbeddedBroker\n"
        "b = EmbeddedBroker(Path(sys.argv[1])); b.start(); b.pause(); print(b.pid, flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    assert gone(pid)


def test_a_second_owner_of_a_directory_is_told_who_the_first_is(
    data_dir: Path, broker: EmbeddedBroker
) -> None:
    with pytest.raises(BrokerError, match=rf"process {os.getpid()} runs Kafka .* another --data-dir"):
        EmbeddedBroker(data_dir).start()
    assert broker.alive()


def test_a_stranger_who_has_the_number_of_an_old_broker_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "600"])
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "broker.pid").write_text(str(stranger.pid))
    try:
        with EmbeddedBroker(tmp_path):
            assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def formatted(data_dir: Path, node_id: int = 1) -> Path:
    """A data directory as a format leaves it; returns where the records would be."""
    home = data_dir / "kafka"
    home.mkdir()
    (home / "server.properties").write_text(server_properties(node_id, 1000, {node_id: 1001}))
    ensure_formatted(home, distribution.class_path(print), new_id(), node_id)
    return home / "data"


@pytest.mark.parametrize("damaged", ["meta.properties", "bootstrap.checkpoint"])
def test_a_half_formatted_directory_is_formatted_again(tmp_path: Path, damaged: str) -> None:
    (formatted(tmp_path) / damaged).write_text("")
    with EmbeddedBroker(tmp_path) as broker:
        make_topic(broker.address, "new")


@pytest.mark.parametrize("damaged", ["meta.properties", "bootstrap.checkpoint"])
def test_a_damaged_directory_that_holds_records_is_explained_and_left_alone(
    tmp_path: Path, damaged: str
) -> None:
    data = formatted(tmp_path)
    (data / damaged).unlink()
    (data / "events.payments-0").mkdir()
    with pytest.raises(BrokerError, match=rf"{damaged} is damaged or missing, beside records .* Restore"):
        EmbeddedBroker(tmp_path).start()
    assert (data / "events.payments-0").is_dir()


def test_a_broker_that_cannot_start_shows_what_its_log_says(tmp_path: Path) -> None:
    formatted(tmp_path, node_id=9)
    with pytest.raises(BrokerError, match=r"ended while starting(.|\n)*Stored node id 9"):
        EmbeddedBroker(tmp_path).start()


def test_a_port_is_the_same_again_unless_somebody_took_it(tmp_path: Path) -> None:
    kept, port = tmp_path / "ports.json", ports.free_port()
    ports.remember(kept, broker=port)
    assert ports.remembered(kept, "broker") == port
    with socket.create_server(("127.0.0.1", port)):
        assert ports.remembered(kept, "broker") != port
    kept.write_text("{half a fi")
    assert ports.remembered(kept, "broker")


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} is taken"):
            EmbeddedBroker(tmp_path, port=port).start()


def test_what_the_machine_knows_of_java_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    monkeypatch.setenv("JDK_JAVA_OPTIONS", "-XX:NoSuchFlag")
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-XX:NoSuchFlag")
    with EmbeddedBroker(tmp_path) as broker:
        assert broker.alive()


def test_nothing_listens_beyond_this_machine() -> None:
    lines = server_properties(1, 1000, {1: 1001}).splitlines()
    listeners = next(line for line in lines if line.startswith("listeners="))
    assert listeners == "listeners=PLAINTEXT://127.0.0.1:1000,CONTROLLER://127.0.0.1:1001"


def test_a_frozen_broker_goes_on_where_it_was(broker: EmbeddedBroker) -> None:
    make_topic(broker.address, "kept")
    broker.pause()
    broker.resume()
    write(broker.address, "kept", b"after")
    assert values(broker.address, "kept") == [b"after"]


def test_a_frozen_broker_closes_its_files_when_it_is_stopped(tmp_path: Path) -> None:
    frozen = EmbeddedBroker(tmp_path)
    frozen.start()
    frozen.pause()
    frozen.stop()
    assert (tmp_path / "kafka" / "data" / ".kafka_cleanshutdown").is_file()


def test_three_brokers_go_on_when_one_dies_and_take_it_back(tmp_path: Path) -> None:
    with EmbeddedCluster(tmp_path) as cluster:
        make_topic(cluster.address, "replicated", replicas=3)
        write(cluster.address, "replicated", b"1")
        cluster.brokers[0].kill()
        write(cluster.address, "replicated", b"2")
        cluster.brokers[0].start()
        write(cluster.address, "replicated", b"3")
        assert values(cluster.address, "replicated") == [b"1", b"2", b"3"]
    with EmbeddedCluster(tmp_path) as again:
        write(
            again.address, "replicated", b"4"
        )  # once it is confirmed, a leader knows how far the others are
        assert values(again.address, "replicated") == [b"1", b"2", b"3", b"4"]
