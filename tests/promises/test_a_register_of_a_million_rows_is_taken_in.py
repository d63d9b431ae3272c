"""A council's register of a million licences is taken in, once and in flat memory, though its worker is killed in the
middle of the file and again when all of it is landed; the next register tells exactly what differs.

`HUB_REGISTER_ROWS=20000` has it shorter. `pytest -m long -s` shows rows per second and memory.
"""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from connectors.premises_licensing.simulator import COLUMNS, PremisesSimulator
from hub.sdk.clock import SteppedClock
from hub.stream import topics
from hub.stream.reading import at_end, bounds, new_consumer, read_all
from hub.testing.journeys.base import Key, Played, Report
from hub.testing.live import LiveHub, as_instance, live_hub
from tests.promises.inbox import BIRMINGHAM, kill_workers, own_memory, workers

pytestmark = pytest.mark.long

ROWS = int(os.environ.get("HUB_REGISTER_ROWS", "1000000"))
PATIENCE_S = 120 + ROWS / 500

#: Of so many rows each, the second register has one changed and lacks one; and has as many new ones.
IN = 1_000

#: What a worker may take, as a share of what it took in the first fifth of its life.
MOST = 1.1

PARTITIONS = range(4)
RAW, EVENTS = topics.raw("premises_licensing"), topics.events("licensing")
GRANTED, VARIED, ENDED = (f"licensing.premises-licence.{verb}" for verb in ("granted", "varied", "ended"))


def test_it_is_taken_in_once_and_in_flat_memory_and_the_next_tells_what_differs(
    tmp_path: Path, root: Path
) -> None:
    office = PremisesSimulator(SteppedClock(datetime(2026, 11, 2, 9, tzinfo=UTC)), seed=1)
    with office.running():
        instance = as_instance(tmp_path, "register", BIRMINGHAM, office, settled_after_seconds=0)
        with live_hub(tmp_path, root, more_instances=instance) as hub, closing(Watch(hub)) as watch:
            told = set(told_of_first(office))
            leave(office, 1, first(office))
            began = time.monotonic()
            watch.until(lambda: in_log(hub, RAW) >= ROWS // 3)
            watch.kill()
            assert in_log(hub, RAW) < ROWS, "it was killed with the file in hand"
            watch.until(lambda: put_away(office, 1))
            print(f"at kill {len(watch.heard)} told;");print(f"landed at {rate(began)}")
            if len(watch.heard) < ROWS:
                watch.kill()
            watch.until(lambda: len(watch.heard) >= len(told))
            print(f"told at {rate(began)}")
            judge(told, watch)

            told.update(told_of_second(office))
            leave(office, 2, second(office))
            began = time.monotonic()
            watch.until(lambda: put_away(office, 2) and len(watch.heard) >= len(told))
            print(f"the second told at {rate(began)}")
            # Each landed record told one event, in one transaction: so there is none that is still to come.
            assert count(hub, RAW) == len(told)
            judge(told, watch)
            assert count(hub, topics.DEAD_LETTERS) == 0
            for life in watch.lives:
                Path(f"/tmp/register/life-{ROWS}-{watch.lives.index(life)}").write_text("\n".join(map(str, life)))


def first(office: PremisesSimulator) -> Iterator[dict[str, str]]:
    """Licences that were granted lately."""
    for number in range(1, ROWS + 1):
        yield office.row(number)[1]


def second(office: PremisesSimulator) -> Iterator[dict[str, str]]:
    """The same but for some that are open longer, some that are gone, and some that are new."""
    for number in range(1, ROWS + ROWS // IN + 1):
        _, row = office.row(number)
        if number > ROWS or number % IN not in (1, 2):
            yield row
        elif number % IN == 1:
            yield office.altered(row)


def told_of_first(office: PremisesSimulator) -> Iterator[Key]:
    for number in range(1, ROWS + 1):
        yield BIRMINGHAM, GRANTED, office.row(number)[0]


def told_of_second(office: PremisesSimulator) -> Iterator[Key]:
    for number in range(1, ROWS + 1, IN):
        yield BIRMINGHAM, VARIED, office.row(number)[0]
    for number in range(2, ROWS + 1, IN):
        yield BIRMINGHAM, ENDED, office.row(number)[0]
    for number in range(ROWS + 1, ROWS + ROWS // IN + 1):
        yield BIRMINGHAM, GRANTED, office.row(number)[0]


def leave(office: PremisesSimulator, number: int, rows: Iterator[dict[str, str]]) -> None:
    """As the simulator leaves a register, but without holding it."""
    partial, today = office.folder / ".register", f"{office.clock.now():%d/%m/%Y}"
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({**row, "ExtractDate": today} for row in rows)
    partial.rename(office.folder / office.file_name.format(n=number))


def put_away(office: PremisesSimulator, registers: int) -> bool:
    """Whether so many were taken to their end."""
    return len(list((office.folder / "archive").glob("*.csv"))) >= registers


class Watch:
    """What `events.licensing` holds, read as it grows, and what each life of the worker takes meanwhile, in bytes."""

    def __init__(self, hub: LiveHub) -> None:
        self.heard: list[Key] = []
        self.ids: set[str] = set()
        self.lives: list[list[tuple[float, int, int]]] = [[]]
        self._hub = hub
        (self._worker,) = workers(hub)
        self._consumer = new_consumer(hub.client_kafka)
        self._consumer.assign([TopicPartition(EVENTS, part, 0) for part in PARTITIONS])

    def until(self, done: Callable[[], bool]) -> None:
        """Read on until it holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline, f"{len(self.heard)} events"
            for message in self._consumer.consume(10_000, timeout=0.25):
                if not at_end(message):
                    said = dict(message.headers())
                    subject = said["ce_subject"].decode()
                    self.heard.append((said["ce_party"].decode(), said["ce_type"].decode(), subject))
                    self.ids.add(said["ce_id"].decode())
            self.lives[-1].append((time.monotonic(), len(self.heard), own_memory(self._worker), rss(self._worker)))

    def kill(self) -> None:
        """The worker, as SIGKILL does it; `hub up` starts another."""
        kill_workers(self._hub)
        (self._worker,) = workers(self._hub)
        self.lives.append([])

    def close(self) -> None:
        self._consumer.close()

def rss(pid):
    return [int(l.split()[1])*1024 for l in Path(f"/proc/{pid}/status").read_text().splitlines() if l.startswith("VmRSS")][0]

def judge(told: set[Key], watch: Watch) -> None:
    report = Report.of("register", Played(told, watch.heard), 0)
    assert report.right, report
    assert len(watch.ids) == len(watch.heard)


def rate(began: float) -> str:
    took = time.monotonic() - began
    return f"{ROWS / took:,.0f} rows/s, {took:.1f} s"


def in_log(hub: LiveHub, topic: str) -> int:
    """Records, those too that are not committed yet, and markers of transactions: some too many."""
    return sum(bounds(hub.client_kafka, topic, part)[1] for part in PARTITIONS)


def count(hub: LiveHub, topic: str) -> int:
    """Committed records."""
    return sum(1 for part in PARTITIONS for _ in read_all(hub.client_kafka, topic, part))
