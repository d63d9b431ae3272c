"""A stand-in for a system that leaves or takes files over SFTP: a real server, bad days included."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import asyncssh
from asyncssh import SFTPAttrs

from hub.sdk.clock import Clock
from hub.sdk.simulator import HANG, Listener, Simulator

#: Faults of an SFTP server: the login is refused, the connection breaks within a file, or nothing can be opened.
LOGIN, CUT, BUSY = "login refused", "connection cut", "busy"


class SftpSimulator(Simulator):
    """One user's folder, `/drop`, on an SFTP server with a key of its own.

    `drop` leaves a file as a careful sender does, under another name first; `drop_slowly` as a careless one does.
    `files` are those there, by path below the folder. Faults, per read or login: `login refused`,
    `connection cut`, `busy`, `hang`. A subclass that speaks HTTP too adds `serve_http` to its `listeners`.
    """

    bad_days: ClassVar[dict[str, dict[str, float]]] = {
        "connections break": {CUT: 0.5},
        "no login": {LOGIN: 1.0},
        "server busy": {BUSY: 1.0},
        "no answers": {HANG: 1.0},
    }

    def __init__(self, clock: Clock | None = None, seed: int | None = None) -> None:
        super().__init__(clock, seed)
        self.password = secrets.token_urlsafe(12)
        self.sftp_port = 0
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._home = tempfile.TemporaryDirectory(prefix="simulated-sftp-")
        self.folder = Path(self._home.name) / "drop"
        self.folder.mkdir()

    def listeners(self) -> list[Listener]:
        """SFTP."""
        return [self.serve_sftp]

    def config(self) -> dict[str, Any]:
        """Settings of a connector whose `Config` is a `FileSettings`."""
        return {
            "folder": "/drop",
            "sftp_host": "127.0.0.1",
            "sftp_port": self.sftp_port or 1,
            "sftp_user": "hub",
            "sftp_password": self.password,
            "sftp_host_key": self._key.export_public_key().decode().strip(),
        }

    def drop(self, name: str, body: bytes) -> None:
        """Leave a file, whole at once."""
        partial = self.folder / f".{name}"
        partial.write_bytes(body)
        partial.rename(self.folder / name)

    def drop_slowly(self, name: str, body: bytes, share: float) -> None:
        """Write the first `share` of a file under its final name; `drop` finishes it."""
        (self.folder / name).write_bytes(body[: int(len(body) * share)])
        now = time.time()
        os.utime(self.folder / name, (now, now))

    def files(self, folder: str = "") -> dict[str, bytes]:
        """What lies in the folder, or in one below."""
        where = self.folder / folder
        if not where.is_dir():
            return {}
        return {path.name: path.read_bytes() for path in sorted(where.iterdir()) if path.is_file()}

    @asynccontextmanager
    async def serve_sftp(self, port: int) -> AsyncIterator[str]:
        """The server, at `sftp_port`."""
        server = await asyncssh.create_server(
            lambda: _Login(self),
            "127.0.0.1",
            port,
            server_host_keys=[self._key],
            sftp_factory=lambda channel: _Files(self, channel, self._home.name),
            keepalive_interval=0,
        )
        async with server:
            self.sftp_port = server.sockets[0].getsockname()[1]
            yield f"sftp://127.0.0.1:{self.sftp_port}"
            server.close()


class _Login(asyncssh.SSHServer):
    def __init__(self, simulator: SftpSimulator) -> None:
        self._simulator = simulator

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        right = username == "hub" and secrets.compare_digest(password, self._simulator.password)
        return right and not self._simulator.draw(LOGIN)


class _Files(asyncssh.SFTPServer):
    def __init__(
        self, simulator: SftpSimulator, channel: asyncssh.SSHServerChannel[bytes], root: str
    ) -> None:
        super().__init__(channel, chroot=root.encode())
        self._simulator = simulator

    def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        if self._simulator.draw(BUSY):
            raise asyncssh.SFTPFailure("too many files are open")
        return super().open(path, pflags, attrs)

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        fault = self._simulator.draw(CUT, HANG)
        if fault == HANG:
            await asyncio.Event().wait()
        if fault == CUT:
            self.channel.get_connection().abort()
            raise asyncssh.SFTPConnectionLost("cut")
        found = super().read(file_obj, offset, size)
        assert isinstance(found, bytes)
        return found
