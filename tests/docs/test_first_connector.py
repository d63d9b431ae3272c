"""The tutorial, word for word: from a clone to a live event in five commands."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.sdk.clone import clone

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorials" / "first-connector.md"


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", TUTORIAL.read_text(), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if not line.startswith(". ")]


@contextmanager
def running(folder: Path, command: list[str], says: str, seconds: float) -> Iterator[list[str]]:
    """A command in a terminal of its own, from when it says something; gives all that it says."""
    said: list[str] = []
    heard = threading.Event()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", *command], cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if says in line:
                heard.set()

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    try:
        assert heard.wait(seconds), f"{command} never said {says!r}, but: {''.join(said)[-2000:]}"
        yield said
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        listener.join(5)


def test_five_commands_lead_from_a_clone_to_a_live_event(tmp_path: Path, root: Path) -> None:
    clone(root, tmp_path)
    new, test, up, simulate, listen = commands()
    for command in (new, test):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    if os.environ.get("HUB_TEST_KAFKA", "embedded") != "embedded":
        pytest.skip("the tutorial is about the embedded Kafka")
    with ExitStack() as stack:
        # A port of its own, for a machine on which another hub may run; all else as it stands there.
        stack.enter_context(running(tmp_path, [*up, "--port", "0"], "ready", 120))
        stack.enter_context(running(tmp_path, simulate, "is played at", 30))
        said = stack.enter_context(running(tmp_path, listen, "parking.permit.granted", 60))
        assert "R-0" in "".join(said)
