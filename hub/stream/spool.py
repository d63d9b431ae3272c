"""Files fetched to this machine before they are read, so that their hash is known and reading can go on anew."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from hub.sdk.errors import HubError, Retry
from hub.sdk.files import Dropped, FileDropSource
from hub.sdk.places import Found, Place
from hub.sdk.rows import BadRow, Row

Numbered = tuple[int, Row | BadRow]


class Unreadable(Exception):
    """A file cannot be read; the text says why, and names no value."""


class Spool:
    """One folder for one source on one worker: it holds the file that is being read, and nothing for long."""

    def __init__(self, folder: Path, key: str) -> None:
        self._folder = folder / re.sub(r"[^A-Za-z0-9-]", "_", key)

    async def fetch(self, place: Place, found: Found, progress: Callable[[], None]) -> tuple[Dropped, Path]:
        """Copy a file here. Raises as `Place.read`, and Retry when it changed while it was copied.

        No more of it is kept than was listed: Kafka's own disk may be the one that it fills.
        """
        self.clear()
        self._folder.mkdir(parents=True, exist_ok=True)
        path, digest, size = self._folder / "file", hashlib.sha256(), 0
        with path.open("wb") as file:
            async with aclosing(place.read(found.name)) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > found.size:
                        break
                    await asyncio.to_thread(file.write, chunk)
                    digest.update(chunk)
                    progress()
        if size != found.size:
            raise Retry("the file changed while it was fetched")
        return Dropped(found.name, datetime.fromtimestamp(found.modified, UTC), digest.hexdigest()), path

    def clear(self) -> None:
        """Throw away what is there."""
        with suppress(FileNotFoundError):
            (self._folder / "file").unlink()


class Reading:
    """A file being read, from a row on; `row` is the last that was read. Not for two threads at a time."""

    def __init__(self, source: FileDropSource[Any, Any], file: Dropped, path: Path, after: int) -> None:
        self.file = file
        self.row = after
        self.size = path.stat().st_size
        self._raw = path.open("rb")
        self._text = io.TextIOWrapper(
            self._raw, encoding=source.encoding, errors="surrogateescape", newline=""
        )
        self._rows = islice(enumerate(source.read(self._text), start=1), after, None)

    @property
    def done(self) -> int:
        """How many bytes were read."""
        return self._raw.tell()

    def next(self, count: int) -> Iterator[Numbered]:
        """The next rows with their numbers, fewer than `count` at the end, each read when it is asked for.

        Raises OSError, and Unreadable for all else that the source's `read` raises.
        """
        rows = islice(self._rows, count)
        while True:
            try:
                numbered = next(rows)
            except StopIteration:
                return
            except OSError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is: this file cannot be read, the next may
                raise Unreadable(
                    error.reason if isinstance(error, HubError) else type(error).__name__
                ) from None
            self.row = numbered[0]
            yield numbered

    def close(self) -> None:
        """Let go of the file."""
        self._text.close()
