"""A real PostgreSQL for tests, from whatever the machine has installed."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

import psycopg
import pytest

from hub.stream.broker.ports import free_port

_PATIENCE_S = 60


class Postgres:
    """One server with one database, on a port of its own that it keeps when it is started again.

    Whoever reaches `host` may do what he likes.
    """

    def __init__(self, folder: Path, programs: Path, host: str) -> None:
        self._folder = folder
        self._programs = programs
        self._host = host
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        #: It refuses to be run by root.
        self._user = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        if self._user:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-U", "hub", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8").wait()
        with (folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write("host all all all trust\n")

    @property
    def url(self) -> str:
        """Of its database."""
        return f"postgresql://hub@{self._host}:{self._port}/postgres"

    def start(self) -> None:
        """Returns when it answers."""
        options = ("fsync=off", f"listen_addresses={self._host}", "unix_socket_directories=")
        self._process = self._run("postgres", "-p", str(self._port), *(f"--{one}" for one in options))
        until = monotonic() + _PATIENCE_S
        while True:
            assert self._process.poll() is None, (self._folder / "log").read_text()
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                assert monotonic() < until, (self._folder / "log").read_text()
            else:
                return

    def execute(self, statement: str) -> None:
        """By nobody's rules but its own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def clear(self) -> None:
        """Nothing is left of what was in its database, once it does not choose us to break a deadlock."""
        while True:
            with suppress(psycopg.errors.DeadlockDetected):
                self.execute("DROP SCHEMA public CASCADE")
                break
        self.execute("CREATE SCHEMA public")

    def stop(self) -> None:
        """At once; whoever is connected is thrown out."""
        if self._process and self._process.poll() is None:
            self.resume()
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(_PATIENCE_S)

    def pause(self) -> None:
        """Freeze all of it: connections stay open, and nobody answers."""
        self._tell_all(signal.SIGSTOP)

    def resume(self) -> None:
        """After `pause`."""
        self._tell_all(signal.SIGCONT)

    def _tell_all(self, what: signal.Signals) -> None:
        assert self._process
        pid = self._process.pid
        self._process.send_signal(what)
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(ProcessLookupError):  # a connection's process ends when its client goes
                os.kill(int(child), what)

    def _run(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self._programs / program), "-D", str(self._folder / "data"), *arguments],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._user and self._user.pw_uid,
                group=self._user and self._user.pw_gid,
            )


@contextmanager
def postgres(host: str = "127.0.0.1") -> Iterator[Postgres]:
    """A server for the length of the block; skips the test where there is none to run."""
    programs = installed()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt install postgresql)")
    # Not in pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="hub-postgres-"))
    server = Postgres(folder, programs, host)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def installed() -> Path | None:
    """Where its programs are, if they are anywhere."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    found = shutil.which("initdb") or (versions and versions[-1])
    return Path(found).resolve().parent if found else None
