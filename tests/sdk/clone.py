"""A clone of the project as it stands, for tests that add to it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

_WHO = ("-c", "user.name=nobody", "-c", "user.email=nobody@example.org")


def clone(root: Path, into: Path) -> None:
    """All files that git knows or would take, with a history of one commit. Skips where there is no clone."""
    asked = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=root, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git clone")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (root / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, into / name)
    git(into, "init", "--quiet")
    commit(into)


def commit(folder: Path) -> None:
    """All that is there."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "as it stands")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *_WHO, *arguments], cwd=folder, check=True, capture_output=True)
