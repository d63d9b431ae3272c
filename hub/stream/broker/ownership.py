"""Whose a data directory is: one hub at a time, and never a Java process beside it that nobody watches."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from hub.stream.broker.errors import BrokerError

# Reads a pipe that only the owner can write to: it closes when the owner ends, in whatever way. Asks politely
# first, and looks each time whether the process still is the one it was told of, not another with its number.
_GUARDIAN = r"""cat >/dev/null
ours() { { tr '\0' ' ' <"/proc/$1/cmdline" || ps -ww -o args= -p "$1"; } 2>/dev/null | grep -qF " $2 "; }
ours "$1" "$2" && kill -TERM "$1" && kill -CONT "$1"
for i in 1 2 3 4 5 6 7 8 9 10; do ours "$1" "$2" || exit 0; sleep 1; done
ours "$1" "$2" && kill -KILL "$1"
"""
_PATIENCE = 15  # seconds for a broker to write what it holds and end


_LOCK = "owner.lock"


class Ownership:
    """The right to run `what` on one directory, held as a file lock, which the kernel frees when we end."""

    def __init__(self, home: Path, what: str) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._file: IO[str] = (home / _LOCK).open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            owner = self._file.read().strip() or "unknown"
            self._file.close()
            remedy = "Stop that one, or use another --data-dir"
            raise BrokerError(f"process {owner} runs {what} on {home} already", remedy) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        """Let another have it."""
        self._file.close()


def is_owned(home: Path) -> bool:
    """Whether a process holds that right just now."""
    try:
        with (home / _LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


class Guardian:
    """A tiny process that ends the Java process `pid` when we end without having done so ourselves.

    `mark` is an argument of that process and of no other. The guardian lives in a session of its own, so that
    what is sent to our whole process group does not end it too.
    """

    def __init__(self, pid: int, mark: str) -> None:
        self._process = subprocess.Popen(
            ["sh", "-c", _GUARDIAN, "kafka-guardian", str(pid), mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """The process has ended, and nobody needs to watch it any more."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


def end_predecessor(pid_file: Path, mark: str) -> None:
    """Wait for a broker whose hub was killed to end, then insist. Raises BrokerError if even that fails."""
    text = pid_file.read_text().strip() if pid_file.is_file() else ""
    if text.isdigit():
        pid, started = int(text), time.monotonic()
        while _is_ours(pid, mark):
            if time.monotonic() > started + 2 * _PATIENCE:
                remedy = "End it, or restart the machine"
                raise BrokerError(f"process {pid}, the Kafka of an earlier run, does not end", remedy)
            if time.monotonic() > started + _PATIENCE:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)
    pid_file.unlink(missing_ok=True)


def _is_ours(pid: int, mark: str) -> bool:
    """Whether that process has `mark` among its arguments: numbers of processes are given again to others."""
    if Path("/proc/self/cmdline").exists():
        try:
            return mark in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return False
    told = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, check=False)
    return f" {mark} " in told.stdout.decode(errors="replace").replace("\n", " ")
