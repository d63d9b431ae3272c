"""What a worker keeps in memory while it works off a backlog.

python -m benchmarks.drain [--quick] [--json FILE]

Twice: the route stage alone over two million events, and a whole worker over raw records, with deliveries. Memory is
flat when the most that is resident after the warm-up is within a tenth of what it was just after it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import uvloop

from benchmarks import alone, fill, topics, webhooks, work
from benchmarks.costs import resident_mb
from benchmarks.load import Sender
from benchmarks.parallel import Crew
from benchmarks.parts import gateway_and_kafka
from benchmarks.peers.meter import Task
from benchmarks.taker import taker
from hub.stream.broker import open_broker
from hub.stream.topics import DEAD_LETTERS, JOURNAL, inbox

Figures = dict[str, float | str]
Say = Callable[[str], None]

_EVERY = 0.1  # seconds between two looks
_WARM = 0.2  # of the time that the drain takes: what is loaded, compiled and buffered once


def measure(quick: bool, say: Say) -> Figures:
    """`memory_growth` of the route stage and `memory_growth_all_stages`, as shares; megabytes beside them."""
    routed = _routing(200_000 if quick else 2_000_000, say)
    through = _all_stages(3_000 if quick else 40_000, say)
    return {
        **{f"memory_{name}": value for name, value in routed.items()},
        **{f"memory_{name}_all_stages": value for name, value in through.items()},
    }


def _routing(count: int, say: Say) -> Figures:
    with tempfile.TemporaryDirectory(prefix="benchmarks-", ignore_cleanup_errors=True) as folder:
        broker = open_broker("embedded", Path(folder), say=say, throughput=True)
        try:
            made = [work.SOURCE_TOPIC, inbox(work.PARTY), JOURNAL, DEAD_LETTERS]
            topics.make(broker.address, made, work.PARTITIONS)
            say(f"writing {count:,} events")
            with Crew() as crew:
                fill.fill(broker.address, {work.SOURCE_TOPIC: count}, crew)
            say("routing them")
            task = Task(broker.address, work.SOURCE_TOPIC, inbox(work.PARTY), 0, count, exactly_once=True)
            command = [sys.executable, "-m", "benchmarks.peers.route", *task.options()]
            with _ended(subprocess.Popen(command, stdout=subprocess.DEVNULL)) as process:
                seen = _watch(process.pid, lambda: process.poll() is not None)
                if process.wait():
                    raise RuntimeError("the route stage failed")
        finally:
            broker.stop()
    return _judged(seen, count)


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _all_stages(count: int, say: Say) -> Figures:
    with gateway_and_kafka(say) as parts, taker() as subscriber:
        parts.subscribe(subscriber.url)
        say(f"accepting {count:,} webhooks")
        uvloop.run(_post(parts.gateway, count))
        say("working them off")
        with parts.process("worker", name="worker-1"):
            deadline = time.monotonic() + 300
            seen = _watch(
                parts.pids["worker-1"],
                lambda: subscriber.count() >= count or time.monotonic() > deadline,
            )
        if len({subject for subject, _ in subscriber.taken()}) < count:
            raise RuntimeError("not everything was delivered in time")
    return _judged(seen, count)


async def _post(gateway: str, count: int) -> None:
    sender = Sender(gateway, most=32)
    for start in range(0, count, 5_000):
        sent = await sender.at_once(webhooks.requests(gateway, start, min(count, start + 5_000)), 32)
        if set(sent.status) != {202}:
            raise RuntimeError("a webhook was not accepted")
    sender.close()


def _watch(pid: int, over: Callable[[], bool]) -> list[tuple[float, float]]:
    """Seconds and megabytes, until it is over. The process may end meanwhile."""
    seen: list[tuple[float, float]] = []
    began = time.monotonic()
    while not over():
        try:
            seen.append((time.monotonic() - began, resident_mb(pid)))
        except (FileNotFoundError, ProcessLookupError):
            break
        time.sleep(_EVERY)
    return [(at, size) for at, size in seen if size > 0]


def _judged(seen: Sequence[tuple[float, float]], count: int) -> Figures:
    """`growth`: the most after the warm-up, over the median of the first tenth after it, less one."""
    sizes = [size for at, size in seen if at >= seen[-1][0] * _WARM]
    if len(sizes) < 10:
        raise RuntimeError("it was over too soon to tell")
    start = median(sizes[: max(1, len(sizes) // 10)])
    return {
        "growth": round(max(sizes) / start - 1, 3),
        "start_mb": round(start),
        "most_mb": round(max(sizes)),
        "end_mb": round(sizes[-1]),
        "events": count,
        "seconds": round(seen[-1][0], 1),
    }


if __name__ == "__main__":
    alone.run(measure)
