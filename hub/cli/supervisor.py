"""`hub up`: the broker, a gateway and a worker as children of one process; none outlives it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

log = structlog.get_logger()

#: A child that ends is started again after this many seconds, doubled at each fall up to the second.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: A child that lived this long, in seconds, is taken as healthy again.
_HEALTHY_AFTER = 30.0
READY = "hub-child-ready"


class Child:
    """A Python child process that says `READY` on its standard output, and ends when its standard input does.

    The pipe to its standard input is the leash: it closes when this process ends in any way, `kill -9`
    included, and the child sees it (`await_go`).
    """

    def __init__(self, name: str, arguments: Sequence[str], log_path: Path) -> None:
        self.name = name
        self._arguments = arguments
        self._log_path = log_path
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = threading.Event()
        self.started_at = 0.0
        self.pause = _FIRST_PAUSE

    def start(self, kafka: str = "") -> None:
        """Start it: it loads, and works once `go` told it where Kafka is. `ready` is set once it says so."""
        self.ready.clear()
        self.started_at = time.monotonic()
        with self._log_path.open("ab") as log_file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hub", *self._arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_file,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops all in order
            )
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        if kafka:
            self.go(kafka)

    def go(self, kafka: str) -> None:
        """Kafka answers at this address."""
        assert self.process is not None
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already, which whoever waits for it will see
            self.process.stdin.write(kafka.encode() + b"\n")
            self.process.stdin.flush()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == READY.encode():
                self.ready.set()

    def last_words(self) -> str:
        """The end of its log, and where the rest is."""
        lines = self._log_path.read_text(errors="replace").strip().splitlines() or ["nothing in its log"]
        return f"{lines[-1][-2000:]} (see {self._log_path})"

    def stop(self, timeout: float = 10) -> None:
        """Ask it to stop, and insist after `timeout` seconds."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            log.warning("child-killed", child=self.name)
            self.process.kill()
            self.process.wait()


class Supervisor:
    """Keeps children running until told to stop."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self._stopping = threading.Event()
        self._kafka = ""

    def start(self) -> None:
        """Start all; they load while Kafka does."""
        for child in self._children:
            child.start()

    def go(self, kafka: str, timeout: float, still_well: Callable[[], None]) -> None:
        """Tell all where Kafka is, and wait until each is ready. `still_well` may raise to give up.

        Raises TimeoutError, or ChildProcessError for one that ended.
        """
        self._kafka = kafka
        for child in self._children:
            child.go(kafka)
        deadline = time.monotonic() + timeout
        for child in self._children:
            while not child.ready.wait(0.05):
                still_well()
                assert child.process is not None
                if child.process.poll() is not None:
                    raise ChildProcessError(f"the {child.name} ended at once: {child.last_words()}")
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the {child.name} was not ready in time: {child.last_words()}")

    def watch(self, still_well: Callable[[], None]) -> None:
        """Start again what ends, with growing pauses, until `stop`."""
        while not self._stopping.wait(0.2):
            still_well()
            for child in self._children:
                if child.process is not None and child.process.poll() is not None:
                    self._restart(child)

    def _restart(self, child: Child) -> None:
        assert child.process is not None
        if time.monotonic() - child.started_at > _HEALTHY_AFTER:
            child.pause = _FIRST_PAUSE
        log.error("child-restarts", child=child.name, status=child.process.returncode, seconds=child.pause)
        if not self._stopping.wait(child.pause):
            child.pause = min(child.pause * 2, _LONGEST_PAUSE)
            child.start(self._kafka)

    def stop(self) -> None:
        """Ask `watch` to return. Safe in a signal handler."""
        self._stopping.set()

    def close(self) -> None:
        """Stop every child, the last started first."""
        for child in reversed(self._children):
            child.stop()


def await_go() -> str:
    """In a child: wait to be told where Kafka is; from then on, end when the parent is gone."""
    # Read without sys.stdin: its lock, held by a reader that waits, would hang the interpreter's end.
    line = b""
    while (byte := os.read(0, 1)) not in (b"", b"\n"):
        line += byte
    address = line.decode().strip()
    if not address:
        sys.exit("the parent ended before Kafka was there")
    threading.Thread(target=_end_with_parent, daemon=True, name="leash").start()
    return address


def _end_with_parent() -> None:
    while os.read(0, 1024):
        continue
    # At once: the next hub must not meet us. Whatever was under way is not committed and will be done again.
    os._exit(1)


def say_ready() -> None:
    """In a child: tell the parent."""
    sys.stdout.write(READY + "\n")
    sys.stdout.flush()
