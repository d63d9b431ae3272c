"""From a webhook that is sent to the subscriber who has its event: through a whole hub, exactly once on.

python -m benchmarks.latency [--quick] [--json FILE] [--rate N …]

Open loop: every webhook has its time beforehand, as of independent senders (a Poisson process), and its latency
counts from that time, whether or not it could go then. So a hub that stalls is charged for all who would have
called meanwhile. Gateway, worker, Kafka, sender and subscriber share this machine.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import uvloop

from benchmarks import alone, stages, webhooks
from benchmarks.costs import busy_seconds, cpu_seconds, parts_of
from benchmarks.load import Sender, Sent, poisson
from benchmarks.shares import milliseconds
from benchmarks.taker import Taker, taker
from hub.testing.live import LiveHub, live_hub, until

ROOT = Path(__file__).parents[1]
RATES = (100, 500, 1000)
COUNTED = ("events", "refused", "lost", "duplicated", "unexpected")
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p999": 0.999}

Say = Callable[[str], None]


@dataclass(slots=True)
class Run:
    """A hub with a subscriber, and the number of the next webhook."""

    hub: LiveHub
    taker: Taker
    next: int = 0


@contextmanager
def running() -> Iterator[Run]:
    """A hub of its own, its worker's roles apart, with one subscriber who takes everything."""
    with tempfile.TemporaryDirectory(prefix="hub-bench-") as folder, taker() as subscriber:
        instance = {
            "connector": "govuk_pay",
            "party": webhooks.PARTY,
            "poll_every_s": 300,
            "config": {"signing_secret": {"file": "signing-secret"}, "api_key": {"file": "api-key"}},
        }
        with live_hub(Path(folder), ROOT, apart=True, instances={webhooks.INSTANCE: instance}) as hub:
            hub.client.post("/v1/subscriptions", {"party": webhooks.PARTY, "url": subscriber.url})
            try:
                yield Run(hub, subscriber)
            finally:
                hub.stop()  # in order: nothing of it writes any more when the folder goes


def measure(quick: bool, say: Say, rates: tuple[int, ...] = RATES) -> dict[str, float | str]:
    """Milliseconds at each rate: `latency_p99_ms_at_500` and the like; and what was lost or came twice.

    Rates take turns, round after round. Of a time or a cost it is the median of the rounds, of what is counted the
    sum, of the latest send the worst; the p99 is shown of the best and the worst round too.
    """
    seconds, rounds = (8.0, 1) if quick else (15.0, 3)
    with running() as run:
        say("warming up")
        at_rate(run, 500, 4.0 if quick else 10.0, seed=0)
        figures: dict[str, float | str] = {}
        seen: dict[int, list[dict[str, float]]] = {rate: [] for rate in rates}
        for at in range(rounds):
            for rate in rates:
                say(f"round {at + 1} of {rounds}: {rate} events a second for {seconds:g} s")
                seen[rate].append(at_rate(run, rate, seconds, seed=rate + at))
        for rate, each in seen.items():
            figures |= _together(rate, each)
    return figures


def _together(rate: int, rounds: list[dict[str, float]]) -> dict[str, float]:
    p99 = [each[f"latency_p99_ms_at_{rate}"] for each in rounds]
    latest = f"latency_latest_send_ms_at_{rate}"
    counted = {f"latency_{name}_at_{rate}" for name in COUNTED}
    figures = {
        name: (sum if name in counted else median)(each[name] for each in rounds) for name in rounds[0]
    }
    return figures | {
        latest: max(each[latest] for each in rounds),
        f"latency_p99_lowest_ms_at_{rate}": min(p99),
        f"latency_p99_highest_ms_at_{rate}": max(p99),
    }


def at_rate(run: Run, rate: int, seconds: float, seed: int) -> dict[str, float]:
    """Send, wait until all is there, judge."""
    times = poisson(rate, seconds, seed)
    first, run.next = run.next, run.next + len(times)
    requests = webhooks.requests(run.hub.gateway, first, run.next)
    assert run.hub.process is not None
    parts = parts_of(run.hub.process.pid) | {"sender": _me(), "subscriber": run.taker.pid}
    before, busy = {name: cpu_seconds(pid) for name, pid in parts.items()}, busy_seconds()
    wall, began = time.time() - time.monotonic(), time.monotonic()
    sent = uvloop.run(_send(run.hub.gateway, requests, times))
    until(lambda: run.taker.count() >= len(times), timeout=60)
    took = time.monotonic() - began
    cpu = {name: (cpu_seconds(pid) - before[name]) / took for name, pid in parts.items()}
    cpu["others"] = (busy_seconds() - busy) / took - sum(cpu.values())
    taken = run.taker.taken()
    expected = {webhooks.payment(number): number - first for number in range(first, run.next)}
    figures = _judge(rate, sent, taken, expected)
    figures |= {f"latency_cpu_{name}_at_{rate}": round(used, 3) for name, used in cpu.items()}
    figures |= stages.passed(run.hub.client_kafka, rate, sent, taken, (expected, wall))
    return figures


async def _send(gateway: str, requests: list[bytes], times: list[float]) -> Sent:
    sender = Sender(gateway)
    try:
        return await sender.at_times(requests, times)
    finally:
        sender.close()


def _judge(
    rate: int, sent: Sent, taken: list[tuple[str, float]], expected: Mapping[str, int]
) -> dict[str, float]:
    came = Counter(subject for subject, _ in taken)
    arrived: dict[str, float] = {}
    for subject, at in taken:
        arrived.setdefault(subject, at)
    waited = sorted(at - sent.intended[expected[one]] for one, at in arrived.items() if one in expected)
    answered = sorted(
        answer - due
        for answer, due, status in zip(sent.answered, sent.intended, sent.status, strict=True)
        if status == 202
    )
    figures = {
        f"latency_{name}_ms_at_{rate}": milliseconds(waited, share) for name, share in PERCENTILES.items()
    }
    figures |= {
        f"accept_{name}_ms_at_{rate}": milliseconds(answered, share) for name, share in PERCENTILES.items()
    }
    return figures | {
        f"latency_events_at_{rate}": len(expected),
        f"latency_refused_at_{rate}": len(expected) - len(answered),
        f"latency_lost_at_{rate}": len(expected.keys() - came.keys()),
        f"latency_duplicated_at_{rate}": sum(count > 1 for count in came.values()),
        f"latency_unexpected_at_{rate}": len(came.keys() - expected.keys()),
        f"latency_latest_send_ms_at_{rate}": round(sent.latest * 1000, 1),
    }


def _me() -> int:
    import os

    return os.getpid()


if __name__ == "__main__":
    alone.run(measure, rates=RATES)
