"""Poison: webhooks of which no event can be made, and records in the topics that no hub has written."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

from confluent_kafka import Producer

from hub.stream import topics
from tests.chaos.checker import Range
from tests.chaos.fault import Fault, Laboratory, fault
from tests.chaos.generator import INSTANCES
from tests.chaos.processes import until
from tests.chaos.reading import Origin, planted_key


@fault("poison-webhooks")
class PoisonWebhooks(Fault):
    """Fifty webhooks in a row, genuine by their signatures, of which no event can be made."""

    most = 20.0

    async def begin(self, lab: Laboratory) -> None:
        """Have the generator send one before each of its next messages."""
        lab.generator.poison_due += 50

    async def last(self, lab: Laboratory) -> None:
        """Until they are sent."""
        await until(lambda: not lab.generator.poison_due, self.most)


@fault("poison-records", "proxy", "brokers")
class PoisonRecords(Fault):
    """Truncated, foreign and oversized records, wrong schema ids and magic bytes, written to every stage's topic."""

    events = 20
    most = 4.0

    async def begin(self, lab: Laboratory) -> None:
        """Write some of each kind, between the hub's own records."""
        for _ in range(5):
            origins = await asyncio.to_thread(_plant, lab.stage.servers, self.random)
            for origin in origins:
                lab.planted.add(origin)
                lab.truth.letters[planted_key(origin)] = Range(1, 1)
            await Fault.last(self, lab)


def _plant(servers: str, random: Random) -> list[Origin]:
    """One poisoned record for every topic that a stage reads; where they lie. Raises RuntimeError."""
    producer = Producer({"bootstrap.servers": servers, "acks": "all", "message.max.bytes": 2 << 20})
    found: list[Origin] = []
    failed: list[Any] = []

    def told(error: Any, message: Any) -> None:
        if error:
            failed.append(error)
        else:
            found.append((message.topic(), message.partition(), message.offset()))

    party = random.choice(list(INSTANCES))
    for topic in (topics.raw("govuk_pay"), topics.events("payments"), topics.inbox(party)):
        key = f"planted-{random.randrange(10**9)}"
        producer.produce(topic, _value(random), key, headers=_headers(topic, key, random), on_delivery=told)
    producer.flush(30)
    if failed or len(found) < 3:
        raise RuntimeError("poison could not be planted")
    return found


def _value(random: Random) -> bytes:
    return random.choice(
        [
            b"",
            b"\0\0\0\0",
            b"\1\0\0\0\1abc",
            b"\0\x7f\xff\xff\xffabc",
            b"\0\0\0\0\1" + random.randbytes(40),
            b"{" * 5_000,
            random.randbytes(1_000_000),
        ]
    )


def _headers(topic: str, key: str, random: Random) -> list[tuple[str, bytes]]:
    """Those of its stage, and sometimes none, or a value that is no text; in an inbox always, or nobody wants it."""
    if topic.startswith("raw."):
        instance = random.choice([*INSTANCES.values(), "nobody"]).encode()
        made = [("hub-id", key.encode()), ("hub-instance", instance), ("hub-source", b"webhook")]
        return random.choice([made, [], made[:1]])
    made = [
        ("ce_specversion", b"1.0"),
        ("ce_id", key.encode()),
        ("ce_source", b"/nowhere"),
        ("ce_type", b"payments.payment.captured"),
        ("ce_subject", key.encode()),
        ("ce_time", b"2026-01-01T00:00:00Z"),
    ]
    broken = [(name, b"\xff" if name == "ce_time" else value) for name, value in made]
    return made if topic.startswith("inbox.") else random.choice([made, broken, []])
