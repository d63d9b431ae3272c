"""A gateway that has enough to do says so, at once, to whoever asks too much; and all others are served."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import httpx2
import pytest

from connectors.govuk_pay.simulator import PaySimulator
from hub.cli.keys import make_keys
from hub.gateway.client import RUNNING
from hub.testing.live import COUNCILS, LiveHub, until, write_config

CONNECTIONS = 12
LIMITS = {
    "max_in_flight": 4,
    "body_timeout_s": 5,
    "max_connections": CONNECTIONS,
    "max_held_bytes": 4 << 20,
}


@pytest.fixture(scope="module")
def small(kafka: str, tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[LiveHub]:
    """A gateway that takes on little, and nothing else of its hub."""
    folder = tmp_path_factory.mktemp("small")
    config = write_config(folder, root, gateway=LIMITS)
    hub = [sys.executable, "-m", "hub"]
    shared = ["--config", str(config), "--kafka", kafka]
    subprocess.run([*hub, "prepare", *shared], check=True)
    make_keys(folder)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number, (_, port) = listener.fileno(), listener.getsockname()
        own = ["--data-dir", str(folder), "--listener", str(number)]
        process = subprocess.Popen([*hub, "gateway", *shared, *own], pass_fds=[number])
    (folder / RUNNING).write_text(json.dumps({"gateway": f"http://127.0.0.1:{port}"}))
    pays = {name: PaySimulator(signing_secret="webhook_test_key") for name in COUNCILS}
    one = LiveHub(config, folder, kafka, simulators=pays, process=process)
    try:
        assert until(lambda: httpx2.get(f"{one.gateway}/readyz", timeout=60).is_success)
        yield one
    finally:
        one.kill()


def half_a_webhook(hub: LiveHub, instance: str) -> socket.socket:
    """One that holds its place, since the rest of its body does not come."""
    where = urlsplit(hub.gateway)
    line = socket.create_connection((where.hostname, where.port), timeout=30)
    line.sendall(f"POST /webhooks/{instance} HTTP/1.1\r\nhost: hub\r\ncontent-length: 100\r\n\r\n{{".encode())
    return line


def webhook(hub: LiveHub, instance: str) -> httpx2.Response:
    pay = hub.simulators[instance]
    body = pay.message(pay.create_payment("FLOOD", 100), "card_payment_captured").body
    return hub.post(instance, body, {**pay.sign(body), "connection": "close"})


def under_way(hub: LiveHub) -> dict[str, int]:
    found: dict[str, int] = hub.client.get("/v1/status")["gateway"]["under_way"]
    return found


def test_one_that_floods_is_answered_429_and_the_others_are_served(small: LiveHub) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(half_a_webhook(small, "birmingham-pay"))
        assert until(lambda: under_way(small) == {"birmingham-pay": 2})
        refused = webhook(small, "birmingham-pay")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert webhook(small, "westminster-pay").status_code == 202
        ill = {(one["part"], one["kind"]) for one in small.client.get("/v1/status")["ill"]}
        assert ("webhooks birmingham-pay", "overloaded") in ill
        assert httpx2.get(f"{small.gateway}/readyz", timeout=30).status_code == 200, (
            "it can take webhooks all the same"
        )
    assert until(lambda: webhook(small, "birmingham-pay").status_code == 202), "its places are free again"


def test_a_body_that_does_not_come_is_given_up(small: LiveHub) -> None:
    began = monotonic()
    with half_a_webhook(small, "birmingham-pay") as line:
        assert b" 408 " in line.recv(1024)
    assert monotonic() - began < 10  # which is the limit of a gateway that was told none
    assert until(lambda: not under_way(small))


@pytest.mark.parametrize(
    "begun",
    [
        b"GET /healthz?",
        b"GET /healthz HTTP/1.1\r\nhost: hub\r\nx-long: ",
        b"POST /healthz HTTP/1.1\r\nhost: hub\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx-long: ",
    ],
    ids=["an address", "a header", "a trailer"],
)
def test_a_head_that_does_not_end_is_not_read_on(small: LiveHub, begun: bytes) -> None:
    where = urlsplit(small.gateway)
    told = b""
    with socket.create_connection((where.hostname, where.port), timeout=30) as line:
        with suppress(ConnectionError):
            line.sendall(begun + b"x" * (1 << 20))
        with suppress(ConnectionError):
            while data := line.recv(1024):
                told += data
    assert b" 431 " in told


def test_connections_beyond_the_limit_are_turned_away_and_those_that_say_nothing_are_closed(
    small: LiveHub,
) -> None:
    where = urlsplit(small.gateway)
    with ExitStack() as stack:
        lines = [
            stack.enter_context(socket.create_connection((where.hostname, where.port), timeout=30))
            for _ in range(CONNECTIONS + 4)
        ]
        answers = [line.recv(1024) for line in lines]
    turned_away = [answer for answer in answers if b" 503 " in answer]
    assert len(turned_away) >= 4
    assert all(b"retry-after" in answer for answer in turned_away)
    assert b"" in answers, "one that says nothing is closed without a word"
    assert until(lambda: webhook(small, "birmingham-pay").status_code == 202)
