"""The hub that tests start leaves nothing behind, even one that neither starts nor stops."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hub.testing.live import LiveHub, write_config

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
)


def test_one_that_does_not_start_in_time_is_killed(tmp_path: Path, root: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        kafka = f"127.0.0.1:{silent.getsockname()[1]}"
        hub = LiveHub(write_config(tmp_path, root), tmp_path / "data", kafka)
        with pytest.raises(RuntimeError, match="hub up failed"):
            hub.start(0.5)
    assert hub.process is not None
    assert hub.process.poll() is not None


def test_one_that_does_not_stop_in_time_is_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    with process.stdout, pytest.raises(subprocess.TimeoutExpired):
        LiveHub(tmp_path, tmp_path, process=process).stop(0.2)
    assert process.poll() is not None
