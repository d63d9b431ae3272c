"""Webhooks at a steady rate from a thread, remembered by what was claimed of them, and judged by sets."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from time import monotonic

import httpx2

from hub.stream.reading import read_all
from hub.testing.live import LiveHub


@dataclass(frozen=True, slots=True)
class Sets:
    """What became of the payments that were answered 2xx. `repeated` counts how often too often."""

    lost: set[str]
    unexpected: set[str]
    repeated: int


@dataclass
class Traffic:
    """`answers` counts what each webhook was answered; `seconds` is how long the slowest answer took."""

    accepted: set[str] = field(default_factory=set)
    answers: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    sent: set[str] = field(default_factory=set)

    def heard(self, received: list[str]) -> Sets:
        """`received` are payments as they came to a subscriber, or stand in a topic."""
        counted = Counter(received)
        repeated = sum(counted.values()) - len(counted)
        return Sets(self.accepted - counted.keys(), counted.keys() - self.sent, repeated)


@contextmanager
def traffic(hub: LiveHub, instance: str, rate: float) -> Iterator[Traffic]:
    """`rate` webhooks a second to `instance` for the length of the block, each for a payment of its own."""
    told, over = Traffic(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_send(hub, instance, rate, told, over)))
    thread.start()
    try:
        yield told
    finally:
        over.set()
        thread.join()


async def _send(hub: LiveHub, instance: str, rate: float, told: Traffic, over: threading.Event) -> None:
    pay, url = hub.simulators[instance], f"{hub.gateway}/webhooks/{instance}"
    template = json.loads(pay.message(pay.create_payment("PREM/2026/0", 100), "card_payment_captured").body)
    started, under_way = monotonic(), set()

    async def one(client: httpx2.AsyncClient, payment: str, number: int) -> None:
        resource = {**template["resource"], "payment_id": payment, "reference": f"PREM/2026/{number}"}
        message = {**template, "resource_id": payment, "webhook_message_id": payment, "resource": resource}
        body, began = json.dumps(message).encode(), monotonic()
        try:
            answer = await client.post(url, content=body, headers=pay.sign(body))
        except httpx2.TransportError as error:
            told.answers[type(error).__name__] += 1
            return
        told.answers[str(answer.status_code)] += 1
        told.seconds = max(told.seconds, monotonic() - began)
        if answer.is_success:
            told.accepted.add(payment)

    async with httpx2.AsyncClient(timeout=30, trust_env=False) as client:
        number = 0
        while not over.is_set():
            payment = f"{instance}{number:016}"
            told.sent.add(payment)
            task = asyncio.create_task(one(client, payment, number))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            number += 1
            await asyncio.sleep(max(0.0, started + number / rate - monotonic()))
        await asyncio.gather(*under_way)


def ids_in(hub: LiveHub, topic: str) -> list[str]:
    """The id of every committed event of a topic, repeats and all."""
    found = [message for part in range(4) for message in read_all(hub.client_kafka, topic, part)]
    return [dict(message.headers())["ce_id"].decode() for message in found]


def longest_pause(hub: LiveHub, topic: str) -> float:
    """The longest time between two records of one partition that follow each other, in seconds."""
    longest = 0.0
    for part in range(4):
        times = sorted(message.timestamp()[1] for message in read_all(hub.client_kafka, topic, part))
        longest = max([longest, *((after - before) / 1000 for before, after in pairwise(times))])
    return longest
