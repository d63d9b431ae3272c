"""The hub's processes as an init system keeps them: each on its host, started again when it falls."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.network import Host

ROOT = Path(__file__).parents[2]
_PAUSE = 0.5  # seconds before one that fell is started again
_READY = b"hub-child-ready"


@dataclass
class Fall:
    """A process that ended though no fault had been done to it, or sooner than it should."""

    name: str
    status: int
    last_words: str


@dataclass
class Process:
    """A gateway or worker. It is told by its standard input where Kafka is, and ends when that closes.

    `wrapper` are the modules that it is run through, with their arguments, to break it on purpose.
    """

    name: str
    host: Host
    arguments: Sequence[str]
    kafka: str
    log_path: Path
    environment: dict[str, str] = field(default_factory=dict)
    wrapper: Sequence[str] = ("hub",)
    popen: subprocess.Popen[bytes] | None = None
    held: bool = False
    """Somebody sees to it: it is not started again, and its end is no fall."""
    doomed: bool = False
    """A fault ended it: it is started again, and that was no fall."""
    starts: int = 0
    ready_at: float = 0.0

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self.popen is not None
        return self.popen.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.popen is not None and self.popen.poll() is None

    def start(self, wrapper: Sequence[str] | None = None, **environment: str) -> None:
        """Start it; `ready` tells when it takes part. `wrapper` and `environment` are for this time only."""
        self.starts += 1
        self.ready_at = 0.0
        self.doomed = False
        with self.log_path.open("ab") as log:
            log.write(f"-- start {self.starts}\n".encode())
            self.popen = subprocess.Popen(
                [*self.host.through, sys.executable, "-m", *(wrapper or self.wrapper), *self.arguments],
                cwd=ROOT,
                env={**os.environ, **self.environment, **environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        os.set_blocking(self.popen.stdout.fileno(), False)
        with suppress(BrokenPipeError):
            self.popen.stdin.write(self.kafka.encode() + b"\n")
            self.popen.stdin.flush()

    def ready(self) -> bool:
        """Whether it has said that it takes part, since its last start."""
        if not self.ready_at and self.popen is not None and self.popen.stdout is not None:
            with suppress(BlockingIOError, ValueError):
                if _READY in (self.popen.stdout.read() or b""):
                    self.ready_at = time.monotonic()
        return self.ready_at > 0

    def kill(self) -> None:
        """End it without warning. It is started again unless it is held."""
        self.doomed = True
        self.send(signal.SIGKILL)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if there is anyone to hear it."""
        if self.popen is not None:
            with suppress(ProcessLookupError):
                self.popen.send_signal(number)

    async def stop(self, timeout: float = 15) -> bool:
        """Ask it to end, and insist after `timeout` seconds; whether it ended by itself."""
        self.doomed = True
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)
        if await self.gone(timeout):
            return True
        self.send(signal.SIGKILL)
        await self.gone(5)
        return False

    async def gone(self, timeout: float) -> bool:
        """Whether it has ended in time."""
        return await until(lambda: not self.alive, timeout)

    def last_words(self) -> str:
        """The end of its log."""
        lines = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(lines[-3:])[-1500:]


class Keeper:
    """Starts again what falls, and keeps account of it."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = processes
        self._started: dict[str, float] = {}
        self.falls: list[Fall] = []

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            for one in self._processes:
                one.ready()
                if not one.held and one.popen is not None and not one.alive:
                    if not one.doomed:
                        self.falls.append(Fall(one.name, one.popen.returncode, one.last_words()))
                    await asyncio.sleep(_PAUSE)
                    if not one.held:
                        one.start()
            await asyncio.sleep(0.05)


async def until(done: object, timeout: float, every: float = 0.02) -> bool:
    """Whether `done()` came to hold in time."""
    assert callable(done)
    deadline = time.monotonic() + timeout
    while not done():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(every)
    return True


def memory_of(pid: int) -> int:
    """Bytes of address space that a process has."""
    found = re.search(r"^VmSize:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
