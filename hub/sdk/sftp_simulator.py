"""A stand-in for a system that leaves or takes files over SFTP: a real server, bad days included."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import secrets
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ClassVar

import asyncssh
from asyncssh import SFTPAttrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hub.sdk.clock import Clock
from hub.sdk.simulator import HANG, Listener, Simulator

#: Faults of an SFTP server: the login is refused, or taken and SFTP never begins; the connection breaks within a file,
#: nothing can be opened, a file may not be used, or one is moved away while the server lists the folder, which some
#: then say is not there.
LOGIN, MUTE, CUT, BUSY = "login refused", "mute", "connection cut", "busy"
DENIED, GONE = "file denied", "gone while listed"


class SftpSimulator(Simulator):
    """One user's folder, `/drop`, on an SFTP server with a key of its own, at `sftp_host`.

    `drop` leaves a file as a careful sender does, under another name first. `files` are those there, by path below
    the folder, and `clients` the connections that are open. Faults, per read, move, login or file listed: `login
    refused`, `mute`, `connection cut`, `busy`, `file denied`, `gone while listed`, `hang`, after which the session
    answers nothing at all while its connection stands. A subclass that speaks HTTP too adds `serve_http` to its
    `listeners`.
    """

    bad_days: ClassVar[dict[str, dict[str, float]]] = {
        "connections break": {CUT: 0.5},
        "no login": {LOGIN: 1.0},
        "server busy": {BUSY: 1.0},
        "files go while they are listed": {GONE: 0.5},
        "no answers": {HANG: 1.0},
    }

    def __init__(self, clock: Clock | None = None, seed: int | None = None) -> None:
        super().__init__(clock, seed)
        # Its own and always the same, so that a client's settings outlive it; both open nothing but this.
        seed_of_key = hashlib.sha256(f"{type(self).__module__}.{type(self).__qualname__}".encode()).digest()
        self.password = f"simulated-{seed_of_key.hex()[:16]}"
        self.sftp_host, self.sftp_port = "127.0.0.1", 0
        self._key = _private_key(seed_of_key)
        self._home = tempfile.TemporaryDirectory(prefix="simulated-sftp-")
        self.folder = Path(self._home.name) / "drop"
        self.folder.mkdir()
        self.clients = set[asyncssh.SSHServerConnection]()

    def listeners(self) -> list[Listener]:
        """SFTP."""
        return [self.serve_sftp]

    def config(self) -> dict[str, Any]:
        """Settings of a connector whose `Config` is a `FileSettings`."""
        return {
            "folder": "/drop",
            "sftp_host": self.sftp_host,
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
            self.sftp_host,
            port,
            server_host_keys=[self._key],
            sftp_factory=lambda channel: _Files(self, channel, self._home.name),
            keepalive_interval=0,
        )
        try:
            self.sftp_port = server.sockets[0].getsockname()[1]
            yield f"sftp://{self.sftp_host}:{self.sftp_port}"
        finally:
            server.close()
            for client in list(self.clients):
                client.abort()


def _private_key(seed: bytes) -> asyncssh.SSHKey:
    made = Ed25519PrivateKey.from_private_bytes(seed)
    form = (Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return asyncssh.import_private_key(made.private_bytes(*form))


class FileSimulator(SftpSimulator):
    """A system that leaves CSV files. A subclass says what a row is, and where the format is another how rows are
    written; the contract suites of file drops and registers need no more.

    `register` holds the rows of the system by their key, for those that write all of them each time.
    """

    #: Name of the file that is written as the n-th: `{n}`.
    file_name: ClassVar[str] = "file-{n:06}.csv"
    #: Whether each file holds all rows rather than new ones.
    whole: ClassVar[bool] = False

    def __init__(self, clock: Clock | None = None, seed: int | None = None) -> None:
        super().__init__(clock, seed)
        self.register: dict[str, dict[str, str]] = {}
        self._made = 0
        self._written = 0

    def row(self, number: int) -> tuple[str, dict[str, str]]:
        """The subject of its facts (for a register, its key), and a row; another for every number."""
        raise NotImplementedError

    def altered(self, row: dict[str, str]) -> dict[str, str]:
        """The same entry of a register, changed in a way that tells a fact."""
        raise NotImplementedError

    def encode(self, rows: Iterable[dict[str, str]]) -> bytes:
        """Rows as the bytes of a file: CSV with a header, unless overridden."""
        text, rows = io.StringIO(newline=""), list(rows)
        writer = csv.DictWriter(text, list(rows[0]) if rows else ["empty"])
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()

    def spoilt(self, body: bytes) -> bytes:
        """A file with one more row that cannot be read, in its middle."""
        lines = body.splitlines(keepends=True)
        middle = (len(lines) + 1) // 2
        return b"".join([*lines[:middle], b"one,field,too,many" + b",x" * 60 + b"\r\n", *lines[middle:]])

    def populate(self, count: int) -> set[str]:
        """Write a file with `count` new rows; gives their subjects."""
        rows = dict(self._new() for _ in range(count))
        self.register |= rows
        self.write(self.encode((self.register if self.whole else rows).values()))
        return set(rows)

    def alter(self) -> Counter[tuple[str, str]]:
        """Write a register that differs from the one before: gives kind and key of each difference."""
        keys = sorted(self.register)
        gone, changed = keys[0], keys[1]
        del self.register[gone]
        self.register[changed] = self.altered(self.register[changed])
        (added,) = self.populate(1)
        return Counter([("removed", gone), ("changed", changed), ("added", added)])

    def write(self, body: bytes) -> str:
        """Leave the next file; gives its name."""
        self._written += 1
        name = self.file_name.format(n=self._written)
        self.drop(name, body)
        return name

    def _new(self) -> tuple[str, dict[str, str]]:
        self._made += 1
        return self.row(self._made)


class _Login(asyncssh.SSHServer):
    def __init__(self, simulator: SftpSimulator) -> None:
        self._simulator = simulator

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._client = conn
        self._simulator.clients.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._simulator.clients.discard(self._client)

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
        if simulator.draw(MUTE):
            asyncio.get_running_loop().call_soon(channel.pause_reading)  # it begins by reading

    def open(self, path: bytes, pflags: int, attrs: SFTPAttrs) -> object:
        if self._simulator.draw(BUSY):
            raise asyncssh.SFTPFailure("too many files are open")
        if self._simulator.draw(DENIED):
            raise asyncssh.SFTPPermissionDenied("another user's")
        return super().open(path, pflags, attrs)

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> Awaitable[None] | None:
        if self._simulator.draw(DENIED):
            raise asyncssh.SFTPPermissionDenied("another user's")
        return super().posix_rename(oldpath, newpath)

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        async for entry in super().scandir(path):
            if self._simulator.draw(GONE):
                raise asyncssh.SFTPNoSuchFile("moved away")
            yield entry

    async def read(self, file_obj: object, offset: int, size: int) -> bytes:
        fault = self._simulator.draw(CUT, HANG)
        if fault == HANG:
            self.channel.pause_reading()
            await asyncio.Event().wait()
        if fault == CUT:
            self.channel.get_connection().abort()
            raise asyncssh.SFTPConnectionLost("cut")
        found = super().read(file_obj, offset, size)
        assert isinstance(found, bytes)
        return found
