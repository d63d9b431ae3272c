"""A process of a hub by itself: how it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

_BROKEN = """
import asyncio
from pathlib import Path

from hub.cli import processes
from hub.stream import worker

class Broken:
    def __init__(self, *_): pass

    async def run(self, on_ready):
        async def stays():
            while True:
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    continue
        staying = asyncio.create_task(stays())
        await asyncio.sleep(0)
        raise RuntimeError("beyond repair")

worker.Worker = Broken
processes.worker(kafka="127.0.0.1:1", config=Path({config!r}), data_dir=Path("."), roles=[])
"""


def test_a_worker_that_breaks_is_over_at_once_though_a_task_of_it_would_stay(tmp_path: Path) -> None:
    """Its partitions are another's, or its next one's, without waiting for whoever notices that it stands still."""
    script = _BROKEN.format(config=str(ROOT / "hub.yaml"))
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1, ended.stderr
    assert "worker-died" in ended.stderr
    assert "beyond repair" in ended.stderr
