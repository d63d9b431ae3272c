"""`hub simulate`: an outside system by itself, as an engineer meets it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hub.testing.receiver import Receiver

ROOT = Path(__file__).parents[2]


@contextmanager
def simulated(*arguments: str) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "hub", "simulate", "govuk_pay", "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0


def test_any_client_can_speak_to_it_with_the_settings_that_it_prints() -> None:
    with simulated("--port", "0", "--every", "0.05") as told:
        headers = {"Authorization": f"Bearer {told['config']['api_key']}"}
        for _ in range(200):
            answer = httpx2.get(f"{told['config']['base_url']}/v1/payments", headers=headers)
            assert answer.status_code == 200
            if answer.json()["total"]:
                return
        raise AssertionError("nothing ever happens there")


def test_a_bad_day_is_chosen_by_its_name() -> None:
    with simulated("--bad-day", "too many requests") as told:
        assert httpx2.get(f"{told['url']}/v1/payments").status_code == 429
        assert "too many requests" in told["bad_days"]


def test_it_sends_to_where_it_is_told() -> None:
    receiver = Receiver()
    with receiver.running() as url, simulated("--to", url, "--every", "0.1"):
        (request, *_) = receiver.wait_for(1)
        assert "pay-signature" in request.headers


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("no_such",), "there is no simulator"),
        (
            ("govuk_pay", "--bad-day", "a strike"),
            "knows no day named 'a strike'; it knows: too many requests",
        ),
    ],
)
def test_what_is_not_known_is_told_with_what_is(arguments: tuple[str, ...], told: str) -> None:
    command = [sys.executable, "-m", "hub", "simulate", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert told in ended.stderr
