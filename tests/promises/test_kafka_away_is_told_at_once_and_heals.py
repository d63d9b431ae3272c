"""While Kafka is away the gateway says 503 at once; when it is back all goes on; nothing claimed is missing."""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path

import pytest

from hub.testing.live import LiveHub, until
from tests.chaos.payloads import Payloads
from tests.chaos.truth import CAPTURED, REFUNDED, Lane

PARTY, INSTANCE = "E08000025", "birmingham-pay"
AT_ONCE_S, HEALED_S = 0.5, 10.0


def test_a_frozen_kafka(hub: LiveHub) -> None:
    broker = hub.data_dir / "kafka" / "broker.pid"
    if not broker.is_file():
        pytest.skip("this Kafka is not ours to freeze")
    lane, body = Lane(f"away{uuid.uuid4().hex[:12]}", PARTY), Payloads().body
    claimed = []
    with hub.subscriber(PARTY, types=[CAPTURED, REFUNDED]) as subscriber:

        def post(number: int) -> tuple[int, float]:
            began = time.monotonic()
            answer = hub.post(INSTANCE, body(lane, number))
            if answer.status_code == 202:
                claimed.append(number)
            else:
                assert answer.status_code == 503
                assert answer.headers["retry-after"]
            return answer.status_code, time.monotonic() - began

        assert post(0)[0] == 202
        pid = int(Path(broker).read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            assert post(1)[0] == 503  # this one had to find out
            told = [post(1) for _ in range(20)]
        finally:
            os.kill(pid, signal.SIGCONT)
        back = time.monotonic()
        assert {status for status, _ in told} == {503}
        assert max(took for _, took in told) < AT_ONCE_S
        assert until(lambda: post(1)[0] == 202, HEALED_S)
        assert until(lambda: hub.client.get("/v1/status")["kafka"] == "answers", HEALED_S)
        assert post(2)[0] == 202
        heard = lambda: [one.data.get("refunded_total") or 0 for one in subscriber.received]  # noqa: E731
        assert until(lambda: {0, 1, 2} <= set(heard()), 30), (claimed, heard(), time.monotonic() - back)
    assert list(dict.fromkeys(heard())) == [0, 1, 2]
