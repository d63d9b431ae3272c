"""Real Apache Kafka in KRaft mode as a child of this process: no Docker, no installed Java, never orphaned."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO

from hub.stream.broker.distribution import Say, class_path, java
from hub.stream.broker.errors import BrokerError

_QUICK_START = ("-XX:TieredStopAtLevel=1",)  # starts in 3 s and not 5, at the price of throughput
_GUARDIAN = """cat >/dev/null; kill -TERM "$1"
for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$1" || exit; sleep 1; done
kill -KILL "$1"
"""


class EmbeddedBroker:
    """One broker that is its own controller, or one of `voters` ({node id: controller port}).

    `data_dir/kafka` keeps its data, log and ports, so that a restart finds all of them again. A lock held for
    the broker's life keeps a second owner away.
    """

    def __init__(  # noqa: PLR0913 - what tells one broker of a cluster from another
        self,
        data_dir: Path,
        *,
        say: Say = lambda _: None,
        throughput: bool = False,
        node_id: int = 1,
        cluster_id: str = "",
        voters: dict[int, int] | None = None,
        port: int = 0,
    ) -> None:
        self._home = data_dir / "kafka"
        self._say = say
        self._throughput = throughput
        self._node_id = node_id
        self._cluster_id = cluster_id
        self._voters = voters
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._guardian: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None
        self.log_path: Path | None = self._home / "broker.log"

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """The Java process."""
        return self._process.pid if self._process else None

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> None:
        """Start, and return once it answers. Raises BrokerError."""
        jars = class_path(self._say)
        self._home.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._end_predecessor()
            self._choose_ports()
            properties = self._write_properties()
            self._format(jars, properties)
            self._launch(jars, properties)
            if wait:
                self.wait_until_healthy()
        except BaseException:
            self.stop(timeout=0)
            raise

    def stop(self, timeout: float = 10) -> None:
        """Stop in order; after `timeout` seconds, by force. Idempotent."""
        self._end_guardian()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        (self._home / "broker.pid").unlink(missing_ok=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def kill(self) -> None:
        """End without warning, as a power cut would; for fault tests."""
        if self._process is not None:
            self._end_guardian()
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        """Freeze it (SIGSTOP); for fault tests."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    # -- starting ------------------------------------------------------------------------------------------

    def _take_lock(self) -> None:
        lock = (self._home / "owner.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "unknown"
            lock.close()
            remedy = "Stop that one, or use another --data-dir"
            raise BrokerError(f"process {owner} runs Kafka on {self._home} already", remedy) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def _end_predecessor(self) -> None:
        """A broker whose hub was killed may still be stopping: wait for it, then insist."""
        path = self._home / "broker.pid"
        if not path.is_file():
            return
        pid = int(path.read_text() or 0)
        deadline = time.monotonic() + 12
        while self._is_ours(pid):
            if time.monotonic() > deadline:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                deadline += 5
            time.sleep(0.1)
        path.unlink(missing_ok=True)

    def _is_ours(self, pid: int) -> bool:
        """Whether the process is a Kafka on this very directory; process ids are used again for others."""
        if not pid:
            return False
        told = subprocess.run(
            ["ps", "-o", "stat=,args=", "-ww", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout
        return str(self._home.resolve()) in told and "kafka.Kafka" in told and not told.startswith("Z")

    def _choose_ports(self) -> None:
        """The ports of last time if they are free, others otherwise."""
        path = self._home / "ports.json"
        remembered = json.loads(path.read_text()) if path.is_file() else {}
        if not self._port:
            kept = remembered.get("broker", 0)
            self._port = kept if kept and _free(kept) else free_port()
        if self._voters is None:
            kept = remembered.get("controller", 0)
            self._voters = {self._node_id: kept if kept and _free(kept) else free_port()}
        path.write_text(json.dumps({"broker": self._port, "controller": self._voters[self._node_id]}))

    def _write_properties(self) -> Path:
        assert self._voters is not None
        replicas = min(3, len(self._voters))
        settings = {
            "process.roles": "broker,controller",
            "node.id": self._node_id,
            "controller.quorum.voters": ",".join(f"{n}@127.0.0.1:{p}" for n, p in self._voters.items()),
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{self._voters[self._node_id]}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": self._home.resolve() / "data",
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": 8,
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": 2 if replicas == 3 else 1,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": replicas,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "auto.create.topics.enable": "false",
            "message.max.bytes": 2 << 20,
            "log.cleaner.dedupe.buffer.size": 16 << 20,
        }
        path = self._home / "server.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        return path

    def _format(self, jars: str, properties: Path) -> None:
        data = self._home / "data"
        if (data / "meta.properties").is_file() and (data / "bootstrap.checkpoint").is_file():
            return
        held = [path.name for path in data.glob("*-[0-9]*") if path.is_dir()]
        if held:
            remedy = "Restore the directory from a backup, or move it away to start anew"
            raise BrokerError(
                f"{data} holds topics ({held[0]}, …) but its meta.properties is damaged", remedy
            )
        shutil.rmtree(data, ignore_errors=True)  # half a format, which would not be taken up again
        cluster_id = self._cluster_id or _new_cluster_id()
        self._say("formatting Kafka's data directory")
        done = subprocess.run(
            [
                *(java(), *_QUICK_START, "-cp", jars, "kafka.tools.StorageTool"),
                *("format", "-t", cluster_id, "-c", str(properties)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BrokerError(
                f"{data} could not be formatted: {done.stderr[-500:]}", "Remove the directory and start again"
            )

    def _launch(self, jars: str, properties: Path) -> None:
        assert self.log_path is not None
        if self.log_path.is_file() and self.log_path.stat().st_size > 10 << 20:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        flags = () if self._throughput else _QUICK_START
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    java(),
                    "-Xmx512m",
                    "-XX:+UseSerialGC",
                    *flags,
                    "-cp",
                    jars,
                    "kafka.Kafka",
                    str(properties.resolve()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the hub alone, which stops its broker last
            )
        (self._home / "broker.pid").write_text(str(self._process.pid))
        # The guardian reads a pipe whose other end only this process has: it closes when we end in any way.
        self._guardian = subprocess.Popen(
            ["sh", "-c", _GUARDIAN, "kafka-guardian", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def wait_until_healthy(self, timeout: float = 60) -> None:
        """Return once the broker answers a metadata request. Raises BrokerError with the end of its log."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        deadline = time.monotonic() + timeout
        while not _listening(self._port):
            self._check_start(deadline)
            time.sleep(0.05)
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        while True:
            self._check_start(deadline)
            with suppress(KafkaException):
                client.list_topics(timeout=1)
                return

    def _check_start(self, deadline: float) -> None:
        if self.alive() and time.monotonic() < deadline:
            return
        fault = "did not answer in time" if self.alive() else "ended while starting"
        assert self.log_path is not None
        tail = "\n".join(self.log_path.read_text(errors="replace").splitlines()[-15:])
        raise BrokerError(
            f"Kafka {fault}; the end of {self.log_path}:\n{tail}\n", "Mend what it says, and try again"
        )

    def _end_guardian(self) -> None:
        if self._guardian is not None:
            self._guardian.kill()
            self._guardian.wait()
            if self._guardian.stdin:
                self._guardian.stdin.close()
            self._guardian = None


class EmbeddedCluster:
    """Several brokers, for tests that need one to fail: replication 3, two in-sync replicas needed."""

    def __init__(self, data_dir: Path, brokers: int = 3, *, say: Say = lambda _: None) -> None:
        voters = {node: free_port() for node in range(1, brokers + 1)}
        cluster_id = _new_cluster_id()
        self.brokers = [
            EmbeddedBroker(
                data_dir / f"node-{node}",
                say=say,
                node_id=node,
                cluster_id=cluster_id,
                voters=voters,
                port=free_port(),
            )
            for node in voters
        ]

    @property
    def address(self) -> str:
        """All brokers, comma-separated."""
        return ",".join(broker.address for broker in self.brokers)

    def start(self) -> None:
        """Start all, then wait for each: none answers before there is a quorum."""
        for broker in self.brokers:
            broker.start(wait=False)
        for broker in self.brokers:
            broker.wait_until_healthy()

    def stop(self) -> None:
        """Stop all."""
        for broker in self.brokers:
            broker.stop(timeout=5)


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _new_cluster_id() -> str:
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
