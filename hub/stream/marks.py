"""A set of marks that may be larger than memory: tables in files, which the system holds as far as there is room."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile
from pathlib import Path

import structlog

log = structlog.get_logger()

#: Of a mark, bytes. The first six of them are spread evenly, as those of a UUID of version 5 are.
WIDTH = 16
_EVEN = 6
_NONE = bytes(WIDTH)

#: Places in the first table, and in the largest: each has four times as many as the one before.
_FIRST, _MOST = 1 << 12, 1 << 22


class Marks:
    """Marks by the offset that each was read at; those of long ago are forgotten a table at a time."""

    def __init__(self, folder: Path) -> None:
        """The files have no name, and are gone with the process."""
        self._folder = folder
        self._tables: list[_Table] = []

    def __contains__(self, mark: bytes) -> bool:
        return any(mark in table for table in reversed(self._tables))

    def add(self, mark: bytes, offset: int) -> None:
        """Offsets ascend."""
        if not self._tables or self._tables[-1].full:
            before = self._tables[-1].places if self._tables else _FIRST // 4
            self._tables.append(_Table(min(before * 4, _MOST), self._folder))
        self._tables[-1].add(mark, offset)

    def forget_before(self, offset: int) -> None:
        """Marks from before it need not be known any more."""
        self._tables = [table for table in self._tables if table.newest >= offset]


class _Table:
    """A hash table with open addressing, at most a third full. Marks of zeros alone stand for none."""

    def __init__(self, places: int, folder: Path) -> None:
        self.places = places
        self.newest = -1  # offset
        self._count = 0
        self._within = places * WIDTH - 1
        self._memory = _mapped(places * WIDTH, folder)

    @property
    def full(self) -> bool:
        return self._count * 3 >= self.places

    def __contains__(self, mark: bytes) -> bool:
        return self._find(mark)[1]

    def add(self, mark: bytes, offset: int) -> None:
        at, there = self._find(mark)
        if not there:
            self._memory[at : at + WIDTH] = mark
            self._count += 1
        self.newest = offset

    def _find(self, mark: bytes) -> tuple[int, bool]:
        """Where the mark is, or would be; and whether it is there."""
        memory, within = self._memory, self._within
        at = int.from_bytes(mark[:_EVEN], "little") * WIDTH & within
        while (there := memory[at : at + WIDTH]) != _NONE:
            if there == mark:
                return at, True
            at = at + WIDTH & within
        return at, False


def _mapped(size: int, folder: Path) -> mmap.mmap:
    """Zeros, in a file; in memory alone where the disk is full, since a write without room would be the end of us."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            if not hasattr(os, "posix_fallocate"):  # as on macOS
                raise OSError(errno.ENOSYS, "")
            os.posix_fallocate(file.fileno(), 0, size)
            return mmap.mmap(file.fileno(), size)
    except OSError as error:
        log.warning("marks-held-in-memory", reason=os.strerror(error.errno or 0), bytes=size)
        return mmap.mmap(-1, size)
