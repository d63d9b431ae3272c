"""A fact that is reported more than once is one event, also where a worker died between the reports."""

from __future__ import annotations

import uuid
from collections import Counter

from hub.stream.reading import read_all
from hub.testing.live import LiveHub, until
from tests.chaos.payloads import Payloads
from tests.chaos.truth import CAPTURED, REFUNDED, Lane
from tests.promises.inbox import kill_workers

PARTY = "E08000025"


def test_a_webhook_that_comes_twice_and_again_after_a_worker_died(hub: LiveHub) -> None:
    lanes = [Lane(f"again{uuid.uuid4().hex[:12]}", PARTY) for _ in range(5)]
    subjects = {lane.subject for lane in lanes}
    captured, refunded = ([Payloads().body(lane, number) for lane in lanes] for number in (0, 1))
    with hub.subscriber(PARTY, types=[CAPTURED, REFUNDED]) as subscriber:
        came = lambda kind: {  # noqa: E731
            one.data["payment_id"] for one in subscriber.received if one.attributes["type"] == kind
        }
        post(hub, captured * 2)
        assert until(lambda: subjects <= came(CAPTURED))
        kill_workers(hub)
        post(hub, captured)
        post(hub, refunded)  # behind the repeats: once these have come, those have been judged
        assert until(lambda: subjects <= came(REFUNDED))
        ids = {
            (one.data["payment_id"], one.id)
            for one in subscriber.received
            if one.data["payment_id"] in subjects
        }
    assert len(ids) == len(subjects) * 2, "a repeat came under another id"
    written = Counter(
        message.key().decode()
        for part in range(4)
        for message in read_all(hub.client_kafka, "events.payments", part)
        if dict(message.headers())["ce_type"] == CAPTURED.encode()
    )
    assert {written[subject] for subject in subjects} == {1}


def post(hub: LiveHub, bodies: list[bytes]) -> None:
    """All are accepted: that they are repeats is found out later."""
    for body in bodies:
        assert hub.post("birmingham-pay", body).status_code == 202
