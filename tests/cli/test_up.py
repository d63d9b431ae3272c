"""`hub up` by itself: how it ends, what it makes, and what it says when it cannot start."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from hub.cli import up
from hub.cli.client import RUNNING
from hub.cli.keys import MASTER_KEY, make_keys
from hub.sdk.serving import in_thread, serving
from hub.testing.live import until

NEVER_OPENS = """
import time
from hub.cli import up
from hub.cli.kafka import Kafka

class Nobody:
    def close(self): ...

up._STOPPED_WITHIN_S = 0
up._close(Nobody(), Kafka(lambda: time.sleep(600)))
"""


def test_it_does_not_wait_for_a_kafka_that_does_not_come_to_open_when_it_is_told_to_stop() -> None:
    assert subprocess.run([sys.executable, "-c", NEVER_OPENS], check=False, timeout=60).returncode == 0


def test_a_key_that_a_full_disk_cut_short_is_none_and_is_made_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched, pytest.raises(OSError):
        patched.setattr(os, "fsync", full)
        make_keys(tmp_path)
    assert not (tmp_path / MASTER_KEY).exists()
    make_keys(tmp_path)
    made = tmp_path / MASTER_KEY
    assert (made.stat().st_size, made.stat().st_mode & 0o777) == (32, 0o600)
    key = made.read_bytes()
    make_keys(tmp_path)
    assert made.read_bytes() == key


def test_keys_that_are_too_short_are_refused_by_name_with_the_remedy(tmp_path: Path, root: Path) -> None:
    names = ["master.key", "operator.token"]
    for name in names:
        (tmp_path / name).touch(mode=0o600)
    where = ["--config", str(root / "hub.yaml"), "--data-dir", str(tmp_path)]
    started = hub("up", *where, "--kafka", "127.0.0.1:1")
    assert started.returncode == 2
    told = started.stderr.splitlines()
    assert [line.partition(": ")[0] for line in told] == [str(tmp_path / name) for name in names]
    assert all("Restore it from your backup" in line for line in told)
    assert told[0].partition(": ")[2] in hub("doctor", *where).stdout


def test_events_are_shown_beside_the_demo_though_the_gateway_is_away_for_a_moment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step = {"at": 0.0, "outcome": "delivered", "subject": "PREM/2026/1"}
    asked: list[str] = []

    async def tail(request: Request) -> JSONResponse:
        asked.append(request.url.path)
        if len(asked) == 1:
            return JSONResponse({"detail": "away"}, 503)
        return JSONResponse({"steps": [step], "last": len(asked)})

    app = Starlette(routes=[Route("/v1/events/tail", tail)])
    with in_thread(lambda: serving(app)) as gateway:
        (tmp_path / RUNNING).write_text(json.dumps({"gateway": gateway}))
        make_keys(tmp_path)
        with up._shown(tmp_path / "none.yaml", tmp_path):
            assert until(lambda: len(asked) > 2)
    assert "PREM/2026/1" in capsys.readouterr().out


def hub(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hub", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
