"""How many webhooks one gateway accepts, each signed, verified and safe in Kafka before it is answered.

python -m benchmarks.ingest [--quick] [--json FILE]

Closed loop: so many callers at a time, each of whom calls again as soon as it is answered, and more of them until
the rate no longer grows. No worker runs; sender and Kafka share the machine with the gateway.
"""

from __future__ import annotations

from collections.abc import Callable

import uvloop

from benchmarks import alone, webhooks
from benchmarks.costs import cpu_seconds
from benchmarks.load import Sender, Sent
from benchmarks.parts import Parts, gateway_and_kafka
from benchmarks.shares import milliseconds

CALLERS = (1, 8, 32, 128)
_WARM = 1_000  # requests


def measure(quick: bool, say: Callable[[str], None]) -> dict[str, float | str]:
    """Accepted per second at each number of callers, the best as `ingest_per_s`; processor time at the best."""
    count = 3_000 if quick else 10_000
    figures: dict[str, float | str] = {}
    with gateway_and_kafka(say) as parts:
        uvloop.run(_call(parts, _WARM, 0, 8))
        best, first = 0.0, _WARM
        for callers in CALLERS:
            say(f"{callers} callers")
            at = _at(parts, count if callers > 1 else count // 5, first, callers)
            first += count
            figures[f"ingest_per_s_by_{callers}"] = at["per_s"]
            figures[f"ingest_p99_ms_by_{callers}"] = at["p99_ms"]
            if at["per_s"] > best:
                best = at["per_s"]
                figures |= {f"ingest_{name}": value for name, value in at.items()}
                figures["ingest_callers"] = callers
    return figures


def _at(parts: Parts, count: int, first: int, callers: int) -> dict[str, float]:
    before = {name: cpu_seconds(pid) for name, pid in parts.pids.items()}
    sent = uvloop.run(_call(parts, count, first, callers))
    used = {name: cpu_seconds(pid) - before[name] for name, pid in parts.pids.items()}
    refused = sum(status != 202 for status in sent.status)
    if refused:
        raise RuntimeError(f"{refused} of {count} webhooks were not accepted")
    took = max(sent.answered) - min(sent.intended)
    waited = sorted(answer - start for answer, start in zip(sent.answered, sent.intended, strict=True))
    return {
        "per_s": round(count / took),
        "p99_ms": milliseconds(waited, 0.99),
        "cpu_s_per_1000": round(1000 * used["gateway"] / count, 3),
        "kafka_cpu_s_per_1000": round(1000 * used["kafka"] / count, 3),
    }


async def _call(parts: Parts, count: int, first: int, callers: int) -> Sent:
    requests = webhooks.requests(parts.gateway, first, first + count)
    sender = Sender(parts.gateway, most=callers)
    try:
        return await sender.at_once(requests, callers)
    finally:
        sender.close()


if __name__ == "__main__":
    alone.run(measure)
