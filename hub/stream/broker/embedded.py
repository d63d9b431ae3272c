"""Real Apache Kafka in KRaft mode as a child of this process: no Docker, no installed Java, never orphaned."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hub.stream.broker import distribution, ports, settings, storage
from hub.stream.broker.distribution import Say
from hub.stream.broker.errors import BrokerError
from hub.stream.broker.ownership import Guardian, Ownership, end_predecessor
from hub.stream.broker.settings import ALONE, Standing

_QUICK_START = "-XX:TieredStopAtLevel=1"  # compiles less well and sooner: right for anything but throughput
_LOG_LIMIT = 10 << 20  # bytes; a longer log is put aside at the next start
_LOGGING = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config.AbstractConfig=warn",  # 400 lines per start
    "-Xlog:aot*=off",  # a cache that the JVM cannot use costs time only, and is not news
)
# The shell waits to be told to go before it becomes Java, so that Java never runs without its guardian.
_LAUNCH = ["sh", "-c", 'read -r go && exec "$@" </dev/null', "kafka"]


@dataclass(frozen=True, slots=True)
class Member:
    """A broker's place in a cluster; `voters` is {node id: controller port} of all."""

    node_id: int
    cluster_id: str
    voters: Mapping[int, int]
    standing: Standing = ALONE


class EmbeddedBroker:
    """One broker that is its own controller, or one `member` of several.

    `data_dir/kafka` keeps its data, log and ports, so that a restart finds all of them again: without `port` it
    takes the one of last time if that is free, and keeps it for as long as this object lives. A lock held for the
    broker's life keeps a second owner away. `throughput` lets Java compile as well as it can, which costs a little
    at the start.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        say: Say = lambda _: None,
        throughput: bool = False,
        member: Member | None = None,
    ) -> None:
        self._home = (data_dir / "kafka").resolve()
        self._say = say
        self._throughput = throughput
        self._member = member
        self._standing = member.standing if member else ALONE
        self._host = self._standing.host(member.node_id if member else 0)
        self._wanted = port
        self._port = port or 0
        self._process: subprocess.Popen[bytes] | None = None
        self._guardian: Guardian | None = None
        self._ownership: Ownership | None = None
        self._log_start = 0
        self.log_path: Path | None = self._home / "broker.log"

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"{self._host}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The Java process, if there is one."""
        return self._process.pid if self._process else None

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *, wait: bool = True) -> None:
        """Start, and return once it answers. Does nothing if it runs. Raises BrokerError."""
        if self.alive():
            return
        self.stop()  # what is left of one that ended by itself
        jars = distribution.class_path(self._say)
        flags = self._cache_flags()
        self._ownership = Ownership(self._home, "Kafka")
        try:
            end_predecessor(self._home / "broker.pid", self._mark)
            self._prepare(jars)
            self._launch([*flags, "-cp", jars])
            if wait:
                self.wait_until_healthy()
        except BaseException:
            self.stop(timeout=0)
            raise

    def stop(self, timeout: float = 10) -> None:
        """Stop in order; after `timeout` seconds, by force. Idempotent."""
        self.ask_to_stop()
        if self._process is not None:
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._clear()

    def ask_to_stop(self) -> None:
        """Tell it to stop, and do not wait."""
        if self._process is not None and self.alive():
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)  # a frozen one hears nothing

    def kill(self) -> None:
        """End without warning, as a power cut would; for fault tests. It can be started again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._clear()

    def pause(self) -> None:
        """Freeze it (SIGSTOP); for fault tests."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Thaw it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def wait_until_healthy(self, timeout: float = 60) -> None:
        """Return once it answers with all brokers of its cluster. Raises BrokerError with the end of its log."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        deadline = time.monotonic() + timeout
        while not ports.is_open(
            self._port, self._host
        ):  # librdkafka would wait longer and longer between its tries
            self._check_start(deadline)
            time.sleep(0.02)
        client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
        expected = len(self._member.voters) if self._member else 1
        while True:
            self._check_start(deadline)
            with suppress(KafkaException):
                if len(client.list_topics(timeout=1).brokers) >= min(expected, 2):
                    return
            time.sleep(0.02)

    # -- starting ------------------------------------------------------------------------------------------

    @property
    def _mark(self) -> str:
        """The argument by which this directory's Java process is known."""
        return f"-Dhub.directory={self._home}"

    def _cache_flags(self) -> list[str]:
        from hub.stream.broker.quickstart import ensure_cache  # which is made by a broker

        cache = ensure_cache(self._say)
        return [f"-XX:AOTCache={cache}"] if cache.stat().st_size else []

    def _prepare(self, jars: str) -> None:
        """Choose ports, write the settings, format."""
        if self._wanted and not ports.is_free(self._wanted):
            raise BrokerError(
                f"port {self._wanted} is taken", "End what listens there, or choose another port"
            )
        kept = self._home / "ports.json"
        self._port = self._wanted = self._wanted or ports.remembered(kept, "broker")
        controller = ports.remembered(kept, "controller", other_than=self._port)
        member = self._member or Member(1, storage.new_id(), {1: controller})
        ports.remember(kept, broker=self._port, controller=member.voters[member.node_id])
        text = settings.server_properties(member.node_id, self._port, member.voters, self._standing)
        (self._home / "server.properties").write_text(text)
        storage.ensure_formatted(self._home, jars, member.cluster_id, member.node_id)

    def _launch(self, flags: list[str]) -> None:
        assert self.log_path is not None
        if self.log_path.is_file() and self.log_path.stat().st_size > _LOG_LIMIT:
            self.log_path.replace(self.log_path.with_suffix(".log.1"))
        if not self._throughput:
            flags = [_QUICK_START, *flags]
        with self.log_path.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [
                    *(*_LAUNCH, *self._standing.through, distribution.java()),
                    *(f"-Xmx{self._standing.heap_mb}m", "-XX:+UseSerialGC"),
                    *(self._mark, *_LOGGING, *flags, "kafka.Kafka", "server.properties"),
                ],
                cwd=self._home,
                env=distribution.java_environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches the hub alone, which stops its broker last
            )
        (self._home / "broker.pid").write_text(str(self._process.pid))
        self._guardian = Guardian(self._process.pid, self._mark)
        assert self._process.stdin is not None
        with self._process.stdin as told:
            told.write(b"go\n")

    def _check_start(self, deadline: float) -> None:
        if self.alive() and time.monotonic() < deadline:
            return
        fault = "did not answer in time" if self.alive() else "ended while starting"
        assert self.log_path is not None
        with self.log_path.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
        telling = [line for line in lines if " ERROR " in line or "Exception: " in line] or lines
        tail = "\n".join(telling[-10:])
        raise BrokerError(
            f"Kafka {fault}; from {self.log_path}:\n{tail}\n", "Mend what it says, and try again"
        )

    def _clear(self) -> None:
        """Forget a process that has ended, and only then let another owner come."""
        self._process = None
        if self._guardian is not None:
            self._guardian.dismiss()
            self._guardian = None
        if self._ownership is not None:
            (self._home / "broker.pid").unlink(missing_ok=True)
            self._ownership.release()
            self._ownership = None
