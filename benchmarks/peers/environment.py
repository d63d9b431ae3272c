"""The environment of the peers that do not fit into the hub's: Quix Streams wants another librdkafka."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.peers import AbsentError

PEERS = frozenset({"faststream", "quix"})
LOCK = Path(__file__).with_name("requirements.lock")
PLACE = Path(__file__).parents[2] / ".venv-peers"
_INSTALL = "--quiet --disable-pip-version-check --require-hashes --no-deps -r".split()


def python(say: Callable[[str], None]) -> Path:
    """Its interpreter; made first where there is none of the present lock. Raises AbsentError."""
    stamp, digest = PLACE / "ready", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    interpreter = PLACE / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == digest:
        return interpreter
    say("making the environment of FastStream and Quix Streams, once (half a minute)")
    shutil.rmtree(PLACE, ignore_errors=True)
    for command in (
        [sys.executable, "-m", "venv", str(PLACE)],
        [str(interpreter), "-m", "pip", "install", *_INSTALL, str(LOCK)],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            told = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            raise AbsentError(f"{PLACE.name} could not be made: {told[-1]}")
    stamp.write_text(digest)
    return interpreter
