"""The embedded broker: real Kafka that starts from nothing, keeps its data, and is never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from hub.stream.broker import BrokerError, distribution, open_broker
from hub.stream.broker.embedded import EmbeddedBroker, EmbeddedCluster
from hub.stream.reading import read_all


def make_topic(address: str, name: str, replicas: int = 1) -> None:
    settings = {"min.insync.replicas": "2"} if replicas == 3 else {}
    client = AdminClient({"bootstrap.servers": address})
    client.create_topics([NewTopic(name, 1, replicas, config=settings)])[name].result(30)


def write(address: str, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": address, "acks": "all", "delivery.timeout.ms": 30_000})
    failed = []
    producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error) if error else None)
    assert producer.flush(30) == 0
    assert not failed


def gone(pid: int, within: float = 20) -> bool:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout
        if not state or state.startswith("Z"):
            return True
        time.sleep(0.1)
    return False


def test_what_was_written_is_there_after_a_restart_at_the_same_address(tmp_path: Path) -> None:
    broker = open_broker("embedded", tmp_path)
    address = broker.address
    make_topic(address, "kept")
    write(address, "kept", b"before")
    broker.stop()
    again = open_broker("embedded", tmp_path)
    try:
        assert again.address == address
        assert [message.value() for message in read_all(again.address, "kept", 0)] == [b"before"]
    finally:
        again.stop()


def test_a_broker_ends_when_its_owner_is_killed_and_the_next_owner_finds_the_data(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from hub.stream.broker.embedded import EmbeddedBroker\n"
        f"b = EmbeddedBroker(Path({str(tmp_path)!r})); b.start(); print(b.pid, b.address, flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid, address = owner.stdout.readline().split()
    make_topic(address, "kept")
    write(address, "kept", b"before")
    owner.kill()
    owner.wait()
    again = EmbeddedBroker(tmp_path)  # it may have to wait for the first to be gone
    again.start()
    try:
        assert gone(int(pid), within=1)
        assert [message.value() for message in read_all(again.address, "kept", 0)] == [b"before"]
    finally:
        again.stop()


def test_a_second_owner_of_a_directory_is_told_who_the_first_is(tmp_path: Path) -> None:
    first = EmbeddedBroker(tmp_path)
    first.start()
    try:
        with pytest.raises(BrokerError, match=f"process {os.getpid()} runs Kafka .* another --data-dir"):
            EmbeddedBroker(tmp_path).start()
        assert first.alive()
    finally:
        first.stop()


def test_a_half_formatted_directory_is_formatted_again(tmp_path: Path) -> None:
    data = tmp_path / "kafka" / "data"
    data.mkdir(parents=True)
    (data / "meta.properties").write_text("version=1\n")
    broker = EmbeddedBroker(tmp_path)
    broker.start()
    assert broker.alive()
    broker.stop()


def test_a_damaged_directory_that_holds_topics_is_explained_and_left_alone(tmp_path: Path) -> None:
    topic = tmp_path / "kafka" / "data" / "events.payments-0"
    topic.mkdir(parents=True)
    with pytest.raises(BrokerError, match="holds topics .* Restore"):
        EmbeddedBroker(tmp_path).start()
    assert topic.is_dir()


def test_a_jar_that_is_not_the_locked_one_is_refused_by_name(tmp_path: Path) -> None:
    jars = Path(distribution.class_path(lambda _: None)).parent
    for jar in jars.glob("*.jar"):
        (tmp_path / jar.name).symlink_to(jar)
    bad = next(tmp_path.glob("kafka-clients-*.jar"))
    bad.unlink()
    bad.write_bytes(b"something else")
    with pytest.raises(BrokerError, match=rf"{bad.name} is not the file that was locked"):
        distribution.verify(tmp_path)


def test_a_broker_that_cannot_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path)
    broker.start()
    broker.stop()
    meta = tmp_path / "kafka" / "data" / "meta.properties"
    meta.write_text(meta.read_text().replace("node.id=1", "node.id=9"))
    with pytest.raises(BrokerError, match="ended while starting"):
        EmbeddedBroker(tmp_path).start()


def test_an_address_where_nobody_answers_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"no Kafka answers at 127\.0\.0\.1:1 .* correct --kafka"):
        open_broker("127.0.0.1:1", tmp_path)


def test_three_brokers_go_on_when_one_dies_and_take_it_back(tmp_path: Path) -> None:
    cluster = EmbeddedCluster(tmp_path)
    try:
        cluster.start()
        make_topic(cluster.address, "replicated", replicas=3)
        write(cluster.address, "replicated", b"1")
        cluster.brokers[0].kill()
        write(cluster.address, "replicated", b"2")
        cluster.brokers[0].stop()
        cluster.brokers[0].start()
        write(cluster.address, "replicated", b"3")
        found = [message.value() for message in read_all(cluster.address, "replicated", 0)]
        assert found == [b"1", b"2", b"3"]
    finally:
        cluster.stop()


def test_a_frozen_broker_goes_on_where_it_was(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path)
    broker.start()
    try:
        make_topic(broker.address, "kept")
        broker.pause()
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGCONT)
        write(broker.address, "kept", b"after")
    finally:
        broker.stop()
