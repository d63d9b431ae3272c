"""`hub listen`: what is said on a terminal while a subscriber of one's own is there."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hub.testing.live import LiveHub


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_whenever_the_signal_comes_and_takes_its_subscription_with_it(
    hub: LiveHub, number: signal.Signals
) -> None:
    """A signal that another thread gets wakes no wait of the main one, as one that comes just before the wait."""
    command = [sys.executable, "-m", "hub", "listen", "E08000025", "--data-dir", str(hub.data_dir)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = process.stderr.readline()
        assert said.startswith("listening for E08000025 at http://127.0.0.1:")
        subscription = said.partition("(subscription ")[2].partition(")")[0]
        assert subscription in subscriptions(hub)
        beside = max(int(one.name) for one in Path(f"/proc/{process.pid}/task").iterdir())
        assert beside != process.pid
        assert ctypes.CDLL(None).tgkill(process.pid, beside, number) == 0
        assert process.wait(10) == 0
    finally:
        process.kill()
    assert subscription not in subscriptions(hub)


def subscriptions(hub: LiveHub) -> set[str]:
    return {one["id"] for one in hub.client.get("/v1/subscriptions")["subscriptions"]}
