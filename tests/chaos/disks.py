"""Small disks that can be full: tmpfs of a given size, taken away when we end, in whatever way."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

_TRIES = 50
_CLEANER = 'cat >/dev/null; umount -l "$1" && rmdir "$1"'


class Disk:
    """A directory on a file system of its own, of `size_mb`; where none can be mounted, on the machine's disk."""

    def __init__(self, path: Path, size_mb: int, *, mounted: bool) -> None:
        self.path = path
        self.mounted = mounted
        self._size_mb = size_mb
        path.mkdir(parents=True, exist_ok=True)
        if mounted:
            _mount(path, f"size={size_mb}m")
            self._cleaner = subprocess.Popen(
                ["sh", "-c", _CLEANER, "sh", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )

    def fill(self) -> None:
        """Leave no byte: the disk becomes as small as what lies on it, which costs no memory."""
        for left in reversed(range(_TRIES)):
            space = os.statvfs(self.path)
            used = (space.f_blocks - space.f_bfree) * space.f_frsize >> 10
            try:
                _mount(self.path, f"remount,size={used}k")
            except OSError:  # something was written meanwhile, and it cannot be smaller than what lies on it
                if not left:
                    raise
            else:
                return

    def free(self) -> None:
        """Give the space back."""
        _mount(self.path, f"remount,size={self._size_mb}m")

    @property
    def used_mb(self) -> int:
        """What lies on it."""
        space = os.statvfs(self.path)
        return int((space.f_blocks - space.f_bfree) * space.f_frsize) >> 20

    def close(self) -> None:
        """Take it away, with what lies on it."""
        if self.mounted:
            assert self._cleaner.stdin is not None
            self._cleaner.stdin.close()
            self._cleaner.wait()


def cannot_mount() -> str:
    """Why no disk can be made here; empty if one can."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trial"
        path.mkdir()
        try:
            _mount(path, "size=1m")
        except OSError as error:
            return str(error)
        subprocess.run(["umount", str(path)], check=True)
    return ""


def _mount(path: Path, options: str) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise OSError("the command mount is not here") from None
    if done.returncode:
        raise OSError(f"no file system can be mounted: {done.stderr.strip()}")
