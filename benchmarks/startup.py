"""From the start of a worker's process to the first event at its subscriber: everything on disk is warm.

python -m benchmarks.startup [--quick] [--json FILE]

Kafka and a gateway run, and a webhook waits, accepted while there was no worker. What passes: Python, imports,
configuration and contracts, the group, the committed positions, and three stages.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import uvloop

from benchmarks import alone, webhooks
from benchmarks.load import Sender
from benchmarks.parts import Parts, gateway_and_kafka
from benchmarks.taker import Taker, taker
from hub.testing.live import until


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, float | str]:
    """Seconds, medians: until the worker is ready, and until its first event has arrived."""
    ready, first = [], []
    with gateway_and_kafka(say) as parts, taker() as subscriber:
        parts.subscribe(subscriber.url)
        for number in range(4 if quick else 8):
            say(f"start {number}")
            took, arrived = _start(parts, subscriber, number)
            if number:  # the first makes the journal, and reads what others find in the page cache
                ready.append(took)
                first.append(arrived)
    return {
        "startup_ready_s": round(median(ready), 2),
        "startup_first_event_s": round(median(first), 2),
        "startup_first_event_slowest_s": round(max(first), 2),
    }


def _start(parts: Parts, subscriber: Taker, number: int) -> tuple[float, float]:
    uvloop.run(_post(parts, number))
    began = time.monotonic()
    with parts.process("worker", name=f"worker-{number}") as ready:
        arrived = _arrival(subscriber, webhooks.payment(number))
    return ready, arrived - began


def _arrival(subscriber: Taker, payment: str) -> float:
    """When it came. Those of the start before may come again: their worker ended before it had said so to Kafka."""
    came: dict[str, float] = {}

    def there() -> bool:
        came.update(subscriber.taken())
        return payment in came

    if not until(there, timeout=60):
        raise RuntimeError("the event did not arrive")
    return came[payment]


async def _post(parts: Parts, number: int) -> None:
    sender = Sender(parts.gateway, most=1)
    sent = await sender.at_once(webhooks.requests(parts.gateway, number, number + 1), 1)
    sender.close()
    if sent.status != [202]:
        raise RuntimeError(f"the webhook was answered {sent.status}")


if __name__ == "__main__":
    alone.run(measure)
