"""What happens to one subject is told in the order in which it happened, whatever its subscriber answers."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable
from random import Random

from hub.delivery.receiver import Received
from hub.testing.live import LiveHub
from tests.chaos.payloads import Payloads
from tests.chaos.truth import Lane, key_of

PARTY = "E08000025"
MESSAGES = 15


def test_a_subscriber_that_fails_and_asks_for_time_gets_each_subject_in_order(hub: LiveHub) -> None:
    random, payloads = Random(7), Payloads()
    lanes = [Lane(f"order{uuid.uuid4().hex[:12]}", PARTY) for _ in range(6)]
    attempts: dict[str, list[int]] = defaultdict(list)

    def moody(one: Received) -> int:
        tried, number = attempts[one.data["payment_id"]], number_of(one)
        first = number not in tried
        tried.append(number)
        return random.choice([500, 503, 302]) if first and random.random() < 0.4 else 204

    with hub.subscriber(PARTY, moody, types=["payments.*"]) as subscriber:
        sent = [(lane, number) for number in range(MESSAGES) for lane in lanes]
        for lane, number in sent:
            assert hub.post("birmingham-pay", payloads.body(lane, number)).status_code == 202
        mine = {lane.subject for lane in lanes}
        wanted = len(sent)
        assert subscriber.wait(lambda got: len(first_arrivals(got, mine)) == wanted, 60)
        arrived = first_arrivals(subscriber.received, mine)
    for lane in lanes:
        assert [number for subject, number in arrived if subject == lane.subject] == list(range(MESSAGES))
        # Attempts too: nothing is tried before what came earlier was taken.
        assert attempts[lane.subject] == sorted(attempts[lane.subject])
    assert sum(map(len, attempts.values())) > wanted, "it never failed, so nothing was shown"


def number_of(one: Received) -> int:
    """Which message of its subject it is about."""
    key = key_of(one.attributes["type"], one.data)
    assert key is not None
    return key[1]


def first_arrivals(got: Iterable[Received], subjects: set[str]) -> list[tuple[str, int]]:
    """Subject and number, each once, in order of arrival."""
    told = ((one.data["payment_id"], number_of(one)) for one in got if one.data["payment_id"] in subjects)
    return list(dict.fromkeys(told))
