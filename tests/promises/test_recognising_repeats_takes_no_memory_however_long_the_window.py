"""Half a million facts are remembered for their window, each of them and no other, in a few megabytes of memory."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from confluent_kafka import Producer

from hub.config import HubConfig
from hub.stream import topics
from hub.stream.reading import read_all
from hub.stream.records import Batch, Fence, Read
from hub.stream.seen import Seen

FACTS = 500_000
MEGABYTE = 1 << 20

#: A set of so many marks would take some 90 bytes for each.
MOST = 12 * MEGABYTE


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="asks Linux for a process's own memory")
def test_half_a_million_facts_are_recognised_in_twelve_megabytes(
    kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topics.ensure(kafka, topics.declare(HubConfig(), [], []))
    facts = os.urandom(16 * FACTS)
    _committed(kafka, facts)
    # In a process of its own, where nothing else comes and goes, and with one heap: of any other, `malloc_trim` does
    # not give back what is free at its end.
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as alone:
        taken, forgotten, mistaken = alone.submit(_recognised, kafka, tmp_path, facts).result()
    assert taken < MOST
    assert (forgotten, mistaken) == (0, 0)


def _recognised(kafka: str, folder: Path, facts: bytes) -> tuple[int, int, int]:
    """Bytes of memory that it takes to know the facts; how many are not known; how many others are taken for one."""
    deque(read_all(kafka, topics.SEEN, 2), 0)  # so that what the client takes once is taken already
    seen = Seen(kafka, folder)
    batch = Batch("raw.any", 2, [Read("raw.any", 2, 0, 0, b"", b"", [])], Fence("hub", 1, "m"))
    before = _own_memory()
    window = seen.of(batch)
    taken = _own_memory() - before
    forgotten = sum(facts[at : at + 16] not in window for at in range(0, len(facts), 16))
    return taken, forgotten, sum(os.urandom(16) in window for _ in range(FACTS))


def _committed(kafka: str, facts: bytes) -> None:
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 50, "queue.buffering.max.messages": FACTS})
    for at in range(0, len(facts), 16):
        producer.produce(topics.SEEN, b"", facts[at : at + 16], 2)
    assert producer.flush(60) == 0


def _own_memory() -> int:
    """What the system cannot take back, bytes."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # reading needs some for a moment, which is free again
    (line,) = [one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith("RssAnon")]
    return int(line.split()[1]) * 1024
