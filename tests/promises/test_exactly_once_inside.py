"""Between topics every event is written once, though workers are killed and frozen under load."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hub.stream.reading import read_all
from hub.testing.live import LiveHub, live_hub, until
from tests.promises import inbox
from tests.promises.test_accepted_is_delivered_though_the_hub_is_killed import post

POSTED = 2_000


@pytest.mark.parametrize(
    "workers",
    [
        pytest.param({"workers": 2}, id="two"),
        pytest.param({"apart": True}, id="apart", marks=pytest.mark.long),
    ],
)
def test_killed_and_frozen_workers_repeat_nothing_between_topics(
    tmp_path: Path, root: Path, workers: dict[str, Any]
) -> None:
    with live_hub(tmp_path, root, **workers) as hub, hub.subscriber("E08000025") as subscriber:
        accepted: set[str] = set()
        faults = asyncio.run(_post_with_faults(hub, accepted))
        assert faults == ["killed", "frozen", "killed"]
        assert len(accepted) == POSTED
        wanted = {f"PREM/2026/{number}" for number in range(POSTED)}
        fees = lambda: {  # noqa: E731
            one.attributes["subject"]
            for one in subscriber.received
            if one.attributes["type"] == "licensing.fee.paid"
        }
        assert until(lambda: wanted <= fees(), 120), f"{len(wanted - fees())} never came"
        for topic in ("events.payments", "inbox.E08000025"):
            written = Counter(_ids(hub, topic))
            assert not [one for one, count in written.items() if count > 1], f"{topic} holds repeats"
        types = Counter(event_type for event_type, _ in _ids(hub, "inbox.E08000025"))
        assert types["licensing.fee.paid"] == types["payments.payment.captured"] == POSTED


async def _post_with_faults(hub: LiveHub, accepted: set[str]) -> list[str]:
    posting = asyncio.create_task(post(hub, range(POSTED), accepted))
    done = []
    for number, (progress, fault) in enumerate(((300, "killed"), (800, "frozen"), (1_400, "killed"))):
        while len(accepted) < progress:
            await asyncio.sleep(0.01)
        victims = inbox.workers(hub)
        victim = victims[number % len(victims)]
        if fault == "killed":
            os.kill(victim, signal.SIGKILL)
        else:
            os.kill(victim, signal.SIGSTOP)
            await asyncio.sleep(8)  # longer than the group's patience, so that it comes back a stranger
            os.kill(victim, signal.SIGCONT)
        done.append(fault)
    await posting
    return done


def _ids(hub: LiveHub, topic: str) -> list[tuple[str, str]]:
    """Type and id of every committed event in a topic."""
    found = [message for part in range(4) for message in read_all(hub.client_kafka, topic, part)]
    headers = [dict(message.headers()) for message in found]
    return [(each["ce_type"].decode(), each["ce_id"].decode()) for each in headers]
