"""While Kafka is away the gateway says 503 at once; when it is back all goes on; nothing claimed is missing.

It is away for seconds here; frozen, for long enough that what TCP by itself tries again, it tries seldom.
`HUB_KAFKA_AWAY_S=120` has it away for two minutes, as `make chaos` does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import httpx2
import pytest

from hub.gateway.client import ClientError
from hub.gateway.health import PROCESSES
from hub.stream.broker.embedded import EmbeddedBroker
from hub.testing.live import LiveHub, live_hub, until
from tests.chaos.payloads import Payloads
from tests.chaos.truth import CAPTURED, REFUNDED, Lane

PARTY, INSTANCE = "E08000025", "birmingham-pay"
AWAY_S = float(os.environ.get("HUB_KAFKA_AWAY_S", "3"))
FROZEN_S = max(AWAY_S, 20.0)
AT_ONCE_S, HEALED_S = 0.5, 10.0
#: Connections that wait until a frozen Kafka takes them, as those of its clients do in the end: more than it has room
#: for, so that who comes later is not even connected.
BACKLOG = 200


def test_a_frozen_kafka(hub: LiveHub) -> None:
    broker = hub.data_dir / "kafka" / "broker.pid"
    if not broker.is_file():
        pytest.skip("this Kafka is not ours to freeze")
    pid, (host, _, port) = int(Path(broker).read_text()), hub.client_kafka.partition(":")
    waiting = [socket.socket() for _ in range(BACKLOG)]

    def freeze() -> None:
        os.kill(pid, signal.SIGSTOP)
        for one in waiting:
            one.setblocking(False)
            one.connect_ex((host, int(port)))

    def thaw() -> None:
        os.kill(pid, signal.SIGCONT)
        for one in waiting:
            one.close()

    goes_and_comes(hub, freeze, thaw, FROZEN_S)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A Kafka that is nobody else's."""
    with EmbeddedBroker(tmp_path_factory.mktemp("broker")) as one:
        yield one


@pytest.fixture(scope="module")
def beside(broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[LiveHub]:
    """A hub of that Kafka."""
    with live_hub(tmp_path_factory.mktemp("beside"), root, kafka=broker.address) as one:
        yield one


def test_a_killed_kafka(broker: EmbeddedBroker, beside: LiveHub) -> None:
    goes_and_comes(beside, broker.kill, broker.start, AWAY_S)


def test_its_own_kafka_that_was_killed_comes_back_where_it_was(tmp_path: Path, root: Path) -> None:
    with live_hub(tmp_path, root) as hub, hub.subscriber(PARTY) as subscriber:
        lane, body = Lane(f"away{uuid.uuid4().hex[:12]}", PARTY), Payloads().body
        assert hub.post(INSTANCE, body(lane, 0)).status_code == 202
        assert until(lambda: len(subscriber.received) > 0, 30)
        pid, address = hub.data_dir / "kafka" / "broker.pid", hub.client_kafka
        os.kill(int(pid.read_text()), signal.SIGKILL)
        assert until(lambda: hub.post(INSTANCE, body(lane, 1)).status_code == 503)
        assert until(lambda: hub.post(INSTANCE, body(lane, 1)).status_code == 202, 60)
        assert until(lambda: len({one.id for one in subscriber.received}) > 1, 60)
        assert hub.client_kafka == address


def test_a_gateway_that_comes_meanwhile(broker: EmbeddedBroker, beside: LiveHub) -> None:
    hub = beside
    with hub.subscriber(PARTY) as subscriber:
        broker.kill()
        gateway = gateway_of(hub)
        os.kill(gateway, signal.SIGKILL)
        assert until(lambda: gateway_of(hub) not in {0, gateway}, 30), "it is started again"
        lane = Lane(f"away{uuid.uuid4().hex[:12]}", PARTY)
        post = lambda: hub.post(INSTANCE, Payloads().body(lane, 0)).status_code  # noqa: E731
        # Who comes while it starts waits, since its socket is there before it.
        ready = lambda: httpx2.get(f"{hub.gateway}/readyz", timeout=30).status_code  # noqa: E731
        assert until(lambda: ready() == 503), "it answers"
        assert post() == 503
        assert httpx2.get(f"{hub.gateway}/healthz", timeout=30).status_code == 200
        with pytest.raises(ClientError, match="not read yet"):
            hub.client.get("/v1/subscriptions")
        assert {"kafka", "gateway"} <= {one["part"] for one in hub.client.get("/v1/status")["ill"]}
        broker.start()
        assert until(
            lambda: httpx2.get(f"{hub.gateway}/readyz", timeout=HEALED_S).status_code == 200, HEALED_S
        )
        assert until(lambda: post() == 202, HEALED_S)
        assert until(lambda: len(subscriber.received) > 0, 30)
        assert len(hub.client.get("/v1/subscriptions")["subscriptions"]) == 1, "and knows what it knew"


def gateway_of(hub: LiveHub) -> int:
    """The gateway's process, 0 while there is none."""
    children = json.loads((hub.data_dir / PROCESSES).read_text())
    return next((int(one.get("pid", 0)) for one in children if one["name"].startswith("gateway")), 0)


def goes_and_comes(hub: LiveHub, away: Callable[[], None], back: Callable[[], None], seconds: float) -> None:
    lane, body = Lane(f"away{uuid.uuid4().hex[:12]}", PARTY), Payloads().body
    claimed: set[int] = set()

    def post(number: int) -> tuple[int, float]:
        began = time.monotonic()
        answer = hub.post(INSTANCE, body(lane, number))
        assert answer.status_code in (202, 503)
        assert answer.status_code == 202 or answer.headers["retry-after"]
        if answer.status_code == 202:
            claimed.add(number)
        return answer.status_code, time.monotonic() - began

    with hub.subscriber(PARTY, types=[CAPTURED, REFUNDED]) as subscriber:
        assert post(0)[0] == 202
        away()
        try:
            assert until(lambda: post(1)[0] == 503)  # which one has to find out
            told, until_then = [], time.monotonic() + seconds
            while time.monotonic() < until_then or len(told) < 20:
                told.append(post(1))
            assert httpx2.get(f"{hub.gateway}/readyz", timeout=30).status_code == 503
            assert httpx2.get(f"{hub.gateway}/healthz", timeout=30).status_code == 200
        finally:
            back()
        returned = time.monotonic()
        assert {status for status, _ in told} == {503}
        # At once, and not after a time limit each: judged by the middle one, since the machine is shared.
        assert median(took for _, took in told) < AT_ONCE_S
        assert until(lambda: post(1)[0] == 202, HEALED_S)
        assert until(
            lambda: httpx2.get(f"{hub.gateway}/readyz", timeout=HEALED_S).status_code == 200, HEALED_S
        )
        assert until(lambda: post(2)[0] == 202, 1), "and it stays"
        heard = lambda: [one.data.get("refunded_total") or 0 for one in subscriber.received]  # noqa: E731
        assert until(lambda: claimed <= set(heard()), 30), (claimed, heard(), time.monotonic() - returned)
    assert list(dict.fromkeys(heard())) == [0, 1, 2]
