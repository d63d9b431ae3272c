"""A child of `hub up`: a process on a leash, that says when it is ready, and each second that it is alive.

Both ends are here: `Child` in the parent; `await_go`, `say_ready` and `Pulse` in the child.
"""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep

import structlog

log = structlog.get_logger()

READY, _ALIVE = b"hub-child-ready", b"hub-child-alive"
_BEAT_S = 1.0


class Child:
    """A Python child process. The pipe to its standard input is the leash: it closes when this process ends in any
    way, `kill -9` included, and the child ends with it. `sockets` are file descriptors that it inherits.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], log_path: Path, sockets: Sequence[int] = ()
    ) -> None:
        self.name = name
        self.arguments = arguments
        self.log_path = log_path
        self.ready = threading.Event()
        self.heard: float | None = None
        """When it last said anything, by the monotonic clock; None while it has not begun to."""
        self._sockets = sockets
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process; 0 before it was started."""
        return self._process.pid if self._process else 0

    @property
    def status(self) -> int | None:
        """How it ended, as `subprocess` has it; None while it runs."""
        return self._process.poll() if self._process else None

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.poll() is None

    def start(self, kafka: str = "") -> None:
        """Start it: it loads, and works once `go` told it where Kafka is. `ready` is set once it says so."""
        self.ready.clear()
        self.heard = None
        with self.log_path.open("ab") as log_file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "hub", *self.arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_file,
                pass_fds=self._sockets,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which stops all in order
            )
        threading.Thread(target=self._listen, args=(self._process,), daemon=True).start()
        if kafka:
            self.go(kafka)

    def go(self, kafka: str) -> None:
        """Kafka answers at this address."""
        assert self._process is not None
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already, which whoever waits for it will see
            self._process.stdin.write(kafka.encode() + b"\n")
            self._process.stdin.flush()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.heard = monotonic()
            if line.strip() == READY and process is self._process:
                self.ready.set()

    def last_words(self) -> str:
        """The end of its log, and where the rest is."""
        lines = self.log_path.read_text(errors="replace").strip().splitlines() or ["nothing in its log"]
        return f"{lines[-1][-2000:]} (see {self.log_path})"

    def ask_to_stop(self) -> None:
        """Tell it to stop, and do not wait."""
        if self._process is not None and self.runs:
            self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def stop_all(children: Sequence[Child], timeout: float) -> None:
    """Ask all to stop, and insist after `timeout` seconds."""
    for child in children:
        child.ask_to_stop()
    until = monotonic() + timeout
    while monotonic() < until and any(child.runs for child in children):
        sleep(0.02)
    for child in children:
        if child.runs:
            log.warning("child-killed", child=child.name)
            child.kill()


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
    _say(READY)


def _say(what: bytes) -> None:
    with suppress(OSError):  # nobody listens, or not at the moment
        os.write(1, what + b"\n")


def end_within(seconds: float) -> None:
    """In a child that was told to stop: end then, whatever still hangs."""
    last = threading.Timer(seconds, os._exit, (0,))
    last.daemon = True
    last.start()


class Pulse(threading.Thread):
    """In a child: says each second that the process is alive, from a thread of its own.

    `ill` tells what is wrong that only a new process mends, if anything; then this one ends, its stacks in its log.
    """

    def __init__(self) -> None:
        super().__init__(name="pulse", daemon=True)
        self.ill: Callable[[], str] = lambda: ""

    def run(self) -> None:
        """Beat."""
        os.set_blocking(1, False)  # a parent that is frozen must not freeze us
        while True:
            _say(_ALIVE)
            if reason := self.ill():
                log.error("process-restarts", reason=reason)
                faulthandler.dump_traceback(all_threads=True)
                os._exit(75)
            sleep(_BEAT_S)
