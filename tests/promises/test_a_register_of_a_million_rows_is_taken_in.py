"""A council's register of a million licences is taken in, once and in flat memory, though its worker is killed with
the file in hand, and again later; the next register tells exactly what differs.

It takes a good ten minutes and some gigabytes of disk. `HUB_REGISTER_ROWS=20000` has it shorter, and says nothing
about memory: a worker that has so little to do is never warm. `pytest -m long -s` shows rows per second and memory.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from confluent_kafka import TopicPartition

from connectors.premises_licensing.simulator import PremisesSimulator
from hub.sdk.clock import SteppedClock
from hub.stream import topics
from hub.stream.reading import at_end, new_consumer, read_all
from hub.testing.journeys.base import Key, Played, Report
from hub.testing.live import LiveHub, as_instance, live_hub
from tests.promises.inbox import BIRMINGHAM, kill_workers, own_memory, workers

pytestmark = pytest.mark.long

ROWS = int(os.environ.get("HUB_REGISTER_ROWS", "1000000"))
PATIENCE_S = 60 + ROWS / 250

#: Of so many rows each, the second register has one changed and lacks one; and as many are new in it.
IN = 1_000

#: What any life of the worker may take at most, as a share of the most in the first two fifths of its last: that one
#: takes in more than all rows once, and by then what is fetched and waits has filled its room, unless there are fewer
#: rows than `WARM`. A life that is over before has not filled it yet, and may still grow.
MOST, WARM = 1.1, 1_000_000

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
            expected = leave(office, 1, first(office))
            assert len(expected) == ROWS
            began = time.monotonic()
            watch.until(lambda: watch.landed() >= ROWS // 3)
            watch.kill()
            assert watch.landed() < ROWS, "it was not killed with the file in hand"
            watch.until(lambda: len(watch.heard) >= ROWS * 2 // 3)
            watch.kill()
            watch.until(lambda: put_away(office) == 1 and len(watch.heard) >= ROWS)
            print(f"a register of {ROWS:,} rows, two kills: {rate(began)}")
            watch.judge(expected)

            expected |= differences(office)
            leave(office, 2, second(office))
            began = time.monotonic()
            watch.until(lambda: put_away(office) == 2 and len(watch.heard) >= len(expected))
            print(f"the next, with {len(expected) - ROWS:,} differences: {rate(began)}")
            # Each landed record told one event, in one transaction: there is none that is still to come.
            assert count(hub, RAW) == len(expected)
            watch.judge(expected)
            assert count(hub, topics.DEAD_LETTERS) == 0
    lives = [fifths(life) for life in watch.lives]
    print("\n".join(f"the worker, MB at most in each fifth of its life: {life}" for life in lives))
    assert ROWS < WARM or max(map(max, lives)) <= MOST * max(lives[-1][:2])
    shutil.rmtree(tmp_path / "data")


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


def differences(office: PremisesSimulator) -> set[Key]:
    """What the second must tell."""
    told = {
        VARIED: range(1, ROWS, IN),
        ENDED: range(2, ROWS, IN),
        GRANTED: range(ROWS + 1, ROWS + ROWS // IN + 1),
    }
    return {(BIRMINGHAM, kind, office.row(number)[0]) for kind, numbers in told.items() for number in numbers}


def leave(office: PremisesSimulator, number: int, rows: Iterator[dict[str, str]]) -> set[Key]:
    """Have the office leave its n-th register; gives what it tells if all of it is new."""
    told = set[Key]()

    def noted() -> Iterator[dict[str, str]]:
        for row in rows:
            told.add((BIRMINGHAM, GRANTED, row["CaseReference"]))
            yield row

    office.leave(number, noted())
    return told


def put_away(office: PremisesSimulator) -> int:
    """How many registers were taken to their end."""
    return len(list((office.folder / "archive").glob("*.csv")))


class Watch:
    """What becomes of the registers in Kafka, and what each life of the hub's only worker takes meanwhile.

    `heard` has the events of `events.licensing`, each as often as it is there; `lives` has bytes of memory that
    the system cannot take back, four times a second.
    """

    def __init__(self, hub: LiveHub) -> None:
        self.heard: list[Key] = []
        self.lives: list[list[int]] = [[]]
        self._ids: set[str] = set()
        self._hub = hub
        (self._worker,) = workers(hub)
        self._consumer = new_consumer(hub.client_kafka)
        self._consumer.assign([TopicPartition(EVENTS, part, 0) for part in PARTITIONS])
        self.close = self._consumer.close

    def until(self, done: Callable[[], bool]) -> None:
        """Go on until it holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline, f"{len(self.heard)} events, {self.landed()} records"
            for message in self._consumer.consume(100_000, timeout=0.25):
                if not at_end(message):
                    said = {name: value.decode() for name, value in message.headers()}
                    self.heard.append((said["ce_party"], said["ce_type"], said["ce_subject"]))
                    self._ids.add(said["ce_id"])
            self.lives[-1].append(own_memory(self._worker))

    def landed(self) -> int:
        """Raw records, some too many: those not committed yet, and the markers of transactions, count too."""
        parts = [TopicPartition(RAW, part) for part in PARTITIONS]
        return sum(self._consumer.get_watermark_offsets(part, timeout=30)[1] for part in parts)

    def kill(self) -> None:
        """The worker, as SIGKILL does it; `hub up` starts another."""
        kill_workers(self._hub)
        (self._worker,) = workers(self._hub)
        self.lives.append([])

    def judge(self, expected: set[Key]) -> None:
        """Each once and nothing else, under an id of its own."""
        report = Report.of("register", Played(expected, self.heard), 0)
        assert report.right, report
        assert len(self._ids) == len(self.heard)


def fifths(life: list[int]) -> list[int]:
    """The most memory in each fifth of a worker's life, MB."""
    ends = [len(life) * part // 5 for part in range(6)]
    return [max(life[start:end]) >> 20 for start, end in pairwise(ends)]


def rate(began: float) -> str:
    """As people say it."""
    took = time.monotonic() - began
    return f"{took:.0f} s, {ROWS / took:,.0f} rows/s"


def count(hub: LiveHub, topic: str) -> int:
    """Committed records."""
    return sum(1 for part in PARTITIONS for _ in read_all(hub.client_kafka, topic, part))
