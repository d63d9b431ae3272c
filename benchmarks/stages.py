"""Where the time went: each topic says when its record of an event was made."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from benchmarks import webhooks
from benchmarks.load import Sent
from hub.stream import topics
from hub.stream.reading import new_consumer, read_all


def passed(
    servers: str,
    rate: int,
    sent: Sent,
    taken: list[tuple[str, float]],
    expected: tuple[Mapping[str, int], float],
) -> dict[str, float]:
    """Median and p99 of each step, milliseconds. `expected` is numbers by payment, and wall minus monotonic time."""
    numbers, wall = expected
    steps: dict[str, dict[str, float]] = {
        "sent": {one: sent.intended[number] + wall for one, number in numbers.items()},
        "raw": _made(servers, topics.raw("govuk_pay"), numbers),
        "event": _made(servers, topics.events("payments"), numbers),
        "inbox": _made(servers, topics.inbox(webhooks.PARTY), numbers),
        "taken": {subject: at + wall for subject, at in taken},
    }
    names = list(steps)
    figures: dict[str, float] = {}
    for before, after in itertools.pairwise(names):
        spans = sorted(
            steps[after][one] - steps[before][one]
            for one in numbers
            if one in steps[before] and one in steps[after]
        )
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            if spans:
                figures[f"step_{before}_{after}_{name}_ms_at_{rate}"] = round(
                    spans[int(share * len(spans))] * 1000, 1
                )
    return figures


def _made(servers: str, topic: str, wanted: Mapping[str, int]) -> dict[str, float]:
    consumer = new_consumer(servers)
    partitions = list(consumer.list_topics(topic, timeout=30).topics[topic].partitions)
    consumer.close()
    found: dict[str, float] = {}
    for partition in partitions:
        for message in read_all(servers, topic, partition):
            key = message.key().decode()
            if key in wanted:
                found.setdefault(key, message.timestamp()[1] / 1000)
    return found
