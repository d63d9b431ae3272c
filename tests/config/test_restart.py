"""A data directory has one hub, and `hub restart` signals that hub and no other process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.stream.broker.ownership import Ownership, is_owned


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """One that SIGHUP would end."""
    made = subprocess.Popen(["sleep", "600"])
    yield made
    made.kill()
    made.wait()


def hub(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hub", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_process_that_has_the_number_of_a_hub_that_was_killed_is_left_alone(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    Ownership(tmp_path, "a hub").release()
    (tmp_path / "hub.json").write_text(json.dumps({"pid": process.pid}))
    done = hub("restart", "--data-dir", str(tmp_path))
    assert (done.returncode, done.stderr) == (
        1,
        f"hub: the hub on {tmp_path} has ended. Start it with `hub up`\n",
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == -signal.SIGTERM


def test_a_second_hub_on_a_data_directory_is_refused_whatever_kafka_it_has(
    tmp_path: Path, root: Path
) -> None:
    config = ["--config", str(root / "hub.yaml"), "--data-dir", str(tmp_path)]
    held = Ownership(tmp_path, "a hub")
    (tmp_path / "hub.json").write_text("{}")
    done = hub("up", *config, "--kafka", "127.0.0.1:1")
    assert done.returncode == 1
    assert f"runs a hub on {tmp_path} already" in done.stderr
    assert (tmp_path / "hub.json").exists()
    held.release()


def test_a_directory_is_owned_for_as_long_as_its_owner_lives(tmp_path: Path) -> None:
    assert not is_owned(tmp_path)
    held = Ownership(tmp_path, "a hub")
    assert is_owned(tmp_path)
    held.release()
    assert not is_owned(tmp_path)
