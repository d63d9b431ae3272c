"""Events put straight into a party's inbox, at a pace, and what became of them at its subscribers."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from confluent_kafka import Producer

from hub.delivery.receiver import Received, Receiver
from hub.stream.reading import read_all
from hub.testing.live import LiveHub, until

BIRMINGHAM, WESTMINSTER = "E08000025", "E09000033"
_PAYS = {BIRMINGHAM: "birmingham-pay", WESTMINSTER: "westminster-pay"}


class Inbox:
    """A party's inbox on a running hub. What is put there is a genuine event of the hub's own, under another id."""

    def __init__(self, hub: LiveHub, party: str) -> None:
        self.sent: dict[str, float] = {}  # by event id, in order: when it was put
        self.subject: dict[str, str] = {}
        self._topic = f"inbox.{party}"
        self._producer = Producer(
            {"bootstrap.servers": hub.client_kafka, "linger.ms": 0, "partitioner": "murmur2_random"}
        )
        hub.simulators[_PAYS[party]].paid_payment(f"PREM/{uuid.uuid4().hex[:8]}", 100)
        assert until(lambda: self._genuine(hub.client_kafka) is not None)
        genuine = self._genuine(hub.client_kafka)
        assert genuine is not None
        self._value, self._headers = genuine

    def _genuine(self, kafka: str) -> tuple[bytes, dict[str, bytes]] | None:
        for part in range(4):
            for message in read_all(kafka, self._topic, part):
                return message.value(), dict(message.headers())
        return None

    def put(self, subject: str) -> str:
        """One event about a subject; its id."""
        event = str(uuid.uuid4())
        own = {"ce_id": event.encode(), "ce_subject": subject.encode()}
        self.sent[event], self.subject[event] = time.time(), subject
        self._producer.produce(self._topic, self._value, subject.encode(), headers={**self._headers, **own})
        self._producer.poll(0)
        return event

    def put_many(self, count: int, subjects: int, prefix: str = "s") -> list[str]:
        """As fast as it goes; returns once Kafka has them all."""
        events = []
        for number in range(count):
            events.append(self.put(f"{prefix}-{number % subjects}"))
            if number % 5_000 == 4_999:
                self._producer.flush(30)
        assert self._producer.flush(30) == 0
        return events

    def pace(self, seconds: float, per_second: int, subjects: int = 40, prefix: str = "s") -> list[str]:
        """So many a second, for so long."""
        events, began = [], time.monotonic()
        for number in range(int(seconds * per_second)):
            time.sleep(max(0.0, began + number / per_second - time.monotonic()))  # the pace itself
            events.append(self.put(f"{prefix}-{number % subjects}"))
        assert self._producer.flush(30) == 0
        return events

    def got(self, receiver: Receiver, events: Iterable[str], timeout: float = 120) -> bool:
        """Whether all of these came, in time."""
        wanted = set(events)
        return receiver.wait(lambda received: wanted <= {one.id for one in received}, timeout)

    def late(self, receiver: Receiver, events: Sequence[str], share: float = 0.99) -> float:
        """How long the slowest of this share of them took to come, seconds."""
        first: dict[str, float] = {}
        for one in receiver.received:
            first.setdefault(one.id, one.at)
        took = sorted(first[event] - self.sent[event] for event in events)
        return took[min(len(took) - 1, int(len(took) * share))]

    def in_order(self, receiver: Receiver) -> bool:
        """Whether, per subject, each came for the first time before those that were put later."""
        place = {event: number for number, event in enumerate(self.sent)}
        came: dict[str, list[int]] = defaultdict(list)
        for event in dict.fromkeys(one.id for one in receiver.received):
            if event in place:
                came[self.subject[event]].append(place[event])
        return all(numbers == sorted(numbers) for numbers in came.values())

    def repeats(self, receiver: Receiver) -> int:
        """How many came again."""
        ids = [one.id for one in receiver.received if one.id in self.sent]
        return len(ids) - len(set(ids))


class Switch:
    """What a subscriber answers: 204, or 503 while it is `down`; nothing at all for as long as it `hangs`."""

    def __init__(self) -> None:
        self.down = False
        self._free = threading.Event()
        self._free.set()

    def __call__(self, _: Received) -> int:
        self._free.wait(14)
        return 503 if self.down else 204

    def hangs(self, yes: bool) -> None:
        """From now on it does, or does not."""
        (self._free.clear if yes else self._free.set)()


def workers(hub: LiveHub) -> list[int]:
    """Process ids of the hub's workers."""
    assert hub.process is not None
    found = subprocess.run(
        ["pgrep", "-P", str(hub.process.pid), "-f", "hub worker"], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in found.stdout.split()]


def kill_workers(hub: LiveHub) -> None:
    """All at once, as SIGKILL does it; returns when others are there in their place."""
    doomed = set(workers(hub))
    assert doomed
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    assert until(lambda: len(workers(hub)) >= len(doomed) and not doomed & set(workers(hub)))


def own_memory(pid: int) -> int:
    """Of a process, what the system cannot take back; bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = [one for one in status.splitlines() if one.startswith("RssAnon")]
    return int(line.split()[1]) * 1024
