"""Places where files are left and taken: a folder here, or one over SFTP."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any, Protocol, Self, TypeVar

import asyncssh
from pydantic import Field, PrivateAttr, SecretStr, ValidationInfo, field_validator

from hub.sdk.config import ConnectorConfig
from hub.sdk.errors import HubError, Reject, Retry, Stop

CHUNK = 256 << 10
#: What an SFTP server says of a file or folder while it is well itself.
_IN_ORDER = (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath, asyncssh.SFTPPermissionDenied)
#: Ends the name of a file that is being written; never listed.
PARTIAL = ".part"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Found:
    """A file as listed: its name (no path), size in bytes, and when it was last changed, epoch seconds."""

    name: str
    size: int
    modified: float


class Place(Protocol):
    """One folder, and folders below it to move files to. Names are bare: a path is refused with `Reject`.

    Failures of the connection, and of one file, raise `Retry`, a refused login, or a folder that is missing or may not
    be used, `Stop`, a file that is not there `Reject`.
    """

    async def listed(self, pattern: str) -> list[Found]:
        """The regular files whose names match, case and all, oldest first; also those whose names are not bare."""

    def read(self, name: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes from `offset` on, in pieces. Who stops before the end closes it (`aclosing`)."""

    async def write(self, name: str, chunks: AsyncIterable[bytes]) -> int:
        """Write under a temporary name, then rename, replacing what is there; the size. Nobody sees half a file."""

    async def move(self, name: str, folder: str, new_name: str) -> None:
        """Move a file into a folder below, made if missing; one of the same name there is replaced."""

    async def close(self) -> None:
        """Close the connection, if one is open."""


class FileSettings(ConnectorConfig):
    """Where files are: base of the `Config` of connectors that take or leave files.

    A folder on this machine unless `sftp_host` is set.
    """

    folder: str = Field(description="The folder: a path on this machine, or on the SFTP server.")
    settled_after_seconds: float | None = Field(
        default=None,
        ge=0,
        description=(
            "How long a file must not have changed before it is taken; unset, as long as the connector says. "
            "0 for a system that leaves whole files, under another name first."
        ),
    )
    sftp_host: str = Field(default="", description="Host of the SFTP server; empty for a local folder.")
    sftp_port: int = Field(default=22, ge=1, le=65_535, description="Port of the SFTP server.")
    sftp_user: str = Field(default="", description="User to log in as.")
    sftp_password: SecretStr | None = Field(
        default=None, description="Password of the user, where the server takes no key."
    )
    sftp_private_key: SecretStr | None = Field(
        default=None, description="Private key of the user, in OpenSSH or PEM form, without a passphrase."
    )
    sftp_host_key: str = Field(
        default="",
        validate_default=True,
        description=(
            "The server's public key, `ssh-ed25519 AAAA…`, needed for SFTP: a server with another one is not "
            "spoken to."
        ),
    )

    _base: Path = PrivateAttr(default_factory=Path)

    @field_validator("sftp_host_key")
    @classmethod
    def _known(cls, key: str, info: ValidationInfo) -> str:
        if not key and info.data.get("sftp_host"):
            raise ValueError("needed for SFTP: without it the server could be anybody; see `ssh-keyscan`")
        return key

    @classmethod
    def load(cls, instance: str, values: Mapping[str, Any], base: Path) -> Self:
        """See `ConnectorConfig`; a folder on this machine is relative to `base`, too."""
        loaded = super().load(instance, values, base)
        loaded._base = base
        return loaded

    def place(self) -> Place:
        """The place that these settings name."""
        return SftpPlace(self) if self.sftp_host else LocalPlace(self._base / self.folder)


def is_bare(name: str) -> bool:
    """Whether it is a bare file name: no path, no hidden file, and all of it text that can be printed."""
    return bool(name) and not name.startswith(".") and not {"/", "\\"} & set(name) and name.isprintable()


def checked(name: str) -> str:
    """A name that is bare. Raises Reject for any other."""
    if not is_bare(name):
        raise Reject("a file's name is not a bare name", field="name", kind="file-name")
    return name


class LocalPlace:
    """A folder on this machine. Links are not followed out of it: only regular files are seen, and opened.

    All that touches it is done in one thread of its own, so that a mount that is dead holds up nothing else.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="place")

    async def _in_thread(self, call: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    async def listed(self, pattern: str) -> list[Found]:
        """See `Place`."""
        return await self._in_thread(self._listed, pattern)

    def _listed(self, pattern: str) -> list[Found]:
        try:
            with os.scandir(self._folder) as entries:
                found = [one for entry in entries if (one := _found(entry, pattern))]
        except FileNotFoundError:
            raise Stop("the folder is not there: check `folder`") from None
        except PermissionError:
            raise Stop("the folder may not be read: check its permissions") from None
        return sorted(found, key=_oldest_first)

    async def read(self, name: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """See `Place`."""
        path = self._folder / checked(name)
        try:
            file = await self._in_thread(_opened, path, os.O_RDONLY)
            try:
                await self._in_thread(file.seek, offset)
                while chunk := await self._in_thread(file.read, CHUNK):
                    yield chunk
            finally:
                self._thread.submit(file.close)  # not waited for: behind a read that hangs
        except FileNotFoundError:
            raise Reject("the file is no longer there", field="name", kind="file-gone") from None
        except OSError as error:
            raise Retry(f"the file cannot be read: {type(error).__name__}") from None

    async def write(self, name: str, chunks: AsyncIterable[bytes]) -> int:
        """See `Place`."""
        final, partial, size = self._folder / checked(name), self._folder / (name + PARTIAL), 0
        try:
            file = await self._in_thread(_opened, partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                async for chunk in chunks:
                    size += await self._in_thread(file.write, chunk)
                await self._in_thread(_to_disk, file)
            finally:
                self._thread.submit(file.close)
            await self._in_thread(partial.replace, final)
        except FileNotFoundError:
            raise Stop("the folder is not there: check `folder`") from None
        except OSError as error:
            raise Retry(f"the file cannot be written: {type(error).__name__}") from None
        return size

    async def move(self, name: str, folder: str, new_name: str) -> None:
        """See `Place`."""
        old, new = self._folder / checked(name), self._folder / checked(folder) / checked(new_name)
        try:
            await self._in_thread(_moved, old, new)
        except FileNotFoundError:
            raise Reject("the file is no longer there", field="name", kind="file-gone") from None
        except OSError as error:
            raise Retry(f"the file cannot be moved: {type(error).__name__}") from None

    async def close(self) -> None:
        """Nothing is open."""


class SftpPlace:
    """A folder over SFTP. The server is known by its key alone; a connection is opened when first needed, and anew
    after a call that did not come to its end: by a failure, or because its caller had waited long enough."""

    def __init__(self, settings: FileSettings) -> None:
        self._settings = settings
        self._folder = settings.folder.rstrip("/") or "/"
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: asyncssh.SFTPClient | None = None
        self._turn = asyncio.Lock()

    async def listed(self, pattern: str) -> list[Found]:
        """See `Place`."""
        async with self._session("the folder") as client:
            entries = await client.readdir(self._folder)
        files = [
            Found(name, attrs.size or 0, float(attrs.mtime or 0))
            for name, attrs in ((str(entry.filename), entry.attrs) for entry in entries)
            if _wanted(name, pattern) and stat.S_ISREG(attrs.permissions or 0)
        ]
        return sorted(files, key=_oldest_first)

    async def read(self, name: str, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """See `Place`."""
        path = f"{self._folder}/{checked(name)}"
        async with self._session("the file") as client:
            file = await client.open(path, "rb")
            while chunk := await file.read(CHUNK, offset):
                offset += len(chunk)
                yield chunk if isinstance(chunk, bytes) else chunk.encode()
            await file.close()

    async def write(self, name: str, chunks: AsyncIterable[bytes]) -> int:
        """See `Place`."""
        final, size = f"{self._folder}/{checked(name)}", 0
        async with self._session("the folder") as client:
            file = await client.open(final + PARTIAL, "wb")
            async for chunk in chunks:
                await file.write(chunk)
                size += len(chunk)
            await file.close()
            await self._rename(client, final + PARTIAL, final)
        return size

    async def move(self, name: str, folder: str, new_name: str) -> None:
        """See `Place`."""
        there = f"{self._folder}/{checked(folder)}"
        async with self._session("the folder") as client:
            await client.makedirs(there, exist_ok=True)
        async with self._session("the file") as client:
            await self._rename(client, f"{self._folder}/{checked(name)}", f"{there}/{checked(new_name)}")

    async def close(self) -> None:
        """See `Place`."""
        connection, self._connection, self._client = self._connection, None, None
        if connection is not None:
            connection.close()
            await connection.wait_closed()

    @asynccontextmanager
    async def _session(self, what: str) -> AsyncIterator[asyncssh.SFTPClient]:
        """The client, for one call. Unless that ends, or the server says in good order why not, its connection is not
        used again, and nothing in it waited for: no answer may ever come."""
        connection, in_order = None, False
        try:
            client = await self._open()
            connection = self._connection
            yield client
            in_order = True
        except (OSError, asyncssh.Error) as error:
            told, in_order = await self._told(error, what), isinstance(error, _IN_ORDER)
            raise told from None
        finally:
            if connection is not None and not in_order:
                connection.abort()
                if self._connection is connection:
                    self._connection = self._client = None

    async def _rename(self, client: asyncssh.SFTPClient, old: str, new: str) -> None:
        """Replacing what is there: in one step where the server can (OpenSSH's extension), else in two."""
        try:
            await client.posix_rename(old, new)
        except asyncssh.SFTPOpUnsupported:
            if await client.exists(new):
                await client.remove(new)
            await client.rename(old, new)

    async def _open(self) -> asyncssh.SFTPClient:
        async with self._turn:
            if self._client is not None:
                return self._client
            told = self._settings
            pattern = f"[{told.sftp_host}]:{told.sftp_port}" if told.sftp_port != 22 else told.sftp_host
            key = told.sftp_private_key
            connection = await asyncssh.connect(
                told.sftp_host,
                told.sftp_port,
                username=told.sftp_user,
                password=told.sftp_password.get_secret_value() if told.sftp_password else None,
                client_keys=[asyncssh.import_private_key(key.get_secret_value())] if key else None,
                known_hosts=asyncssh.import_known_hosts(f"{pattern} {told.sftp_host_key}\n"),
                config=None,  # nothing of whoever runs the hub
                agent_path=None,
                connect_timeout=20,
                keepalive_interval=15,
            )
            try:
                self._client = await connection.start_sftp_client(path_errors="surrogateescape")
            except BaseException:
                connection.abort()
                raise
            self._connection = connection
            return self._client

    async def _told(self, error: Exception, what: str) -> HubError:
        if isinstance(error, asyncssh.SFTPNoSuchFile | asyncssh.SFTPNoSuchPath):
            if what == "the file":
                return Reject("the file is no longer there", field="name", kind="file-gone")
            if await self._has_folder():  # some servers answer so where a file goes while they list it
                return Retry("a file was moved away meanwhile")
            return Stop("the folder is not there: check `folder`")
        if isinstance(error, asyncssh.SFTPPermissionDenied):
            told = f"{what} may not be used by this user: check its permissions"
            return Retry(told) if what == "the file" else Stop(told)  # the other files may be
        if isinstance(error, asyncssh.HostKeyNotVerifiable):
            return Stop("the server's key is not the one configured: check `sftp_host_key`")
        if isinstance(error, asyncssh.PermissionDenied | asyncssh.KeyImportError):
            return Stop("the server refuses the login: check the instance's credentials")
        return Retry(f"SFTP: {type(error).__name__}")

    async def _has_folder(self) -> bool:
        """Whether it is there, as far as the server says anything."""
        try:
            return await (await self._open()).isdir(self._folder)
        except (OSError, asyncssh.Error):
            return True


def _found(entry: os.DirEntry[str], pattern: str) -> Found | None:
    """A regular file that is wanted; None for what is not, and for what was moved away since it was named."""
    if not (_wanted(entry.name, pattern) and entry.is_file(follow_symlinks=False)):
        return None
    try:
        seen = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return Found(entry.name, seen.st_size, seen.st_mtime)


def _oldest_first(found: Found) -> tuple[float, str]:
    return found.modified, found.name


def _wanted(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and not name.startswith(".") and not name.endswith(PARTIAL)


def _opened(path: Path, flags: int) -> IO[bytes]:
    """A regular file. Raises OSError for a link, a pipe and the like, which somebody may have put in its place."""
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError("not a regular file")
    return os.fdopen(descriptor, "wb" if flags & os.O_WRONLY else "rb")


def _to_disk(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _moved(old: Path, new: Path) -> None:
    new.parent.mkdir(exist_ok=True)
    old.replace(new)
