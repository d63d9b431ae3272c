"""Sources at work while Kafka takes no transaction: what they were given waits, and is landed once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from math import inf
from threading import Event
from typing import Any

from hub.events.generated.payments import PaymentCreated
from hub.sdk import ConnectorConfig, Instance, Page, PollingSource
from hub.stream import topics
from hub.stream.conditions import Conditions, Oversight
from hub.stream.controls import Controls
from hub.stream.instances import Instances
from hub.stream.polling import Polling
from hub.stream.records import Fence, Output, Place
from hub.stream.transactions import Transactor
from hub.testing.in_memory import InMemory
from tests.stream.at_work import Row, until

PLACE: Place = (topics.CONNECTORS, 0)


class Kafka:
    """Takes nothing until it `answers`; then all that was begun is through."""

    def __init__(self) -> None:
        self.answers = Event()
        self.begun = Event()
        self.memory = InMemory()

    def opened(self, *_: Any) -> Kafka:
        """As a producer."""
        return self

    def write(self, outputs: Sequence[Output], *_: Any) -> None:
        self.begun.set()
        assert self.answers.wait(30)
        asyncio.run(self.memory.commit(list(outputs), PLACE))

    def close(self) -> None:
        """Nothing to close."""


class Pages(PollingSource[ConnectorConfig, Row]):
    """One page, and none after it. `asked` are the cursors that it was asked with."""

    name = "pages"
    emits = (PaymentCreated,)
    patience = timedelta(milliseconds=50)

    def __init__(self) -> None:
        super().__init__(Instance("one", "pages", "x", poll_every_s=0.01), ConnectorConfig())
        self.asked: list[str | None] = []

    async def fetch(self, cursor: str | None) -> Page:
        self.asked.append(cursor)
        return Page([] if cursor else [{"licence": "P-1", "holder": "A"}], next="1")


@asynccontextmanager
async def at_work(kafka: Kafka, source: Pages) -> AsyncIterator[Instances]:
    transactor = Transactor("", "t", opened=kafka.opened, committed=lambda *_: {})  # type: ignore[arg-type]
    oversight = Oversight(Controls(), Conditions(_untold))
    fence = Fence("hub", 1, "m"), {PLACE: 0}
    instances = Instances({source.key: Polling(source)}, 1, transactor, lambda: fence, oversight)
    instances.log = kafka.memory.log
    await instances.assigned([0])
    try:
        yield instances
    finally:
        kafka.answers.set()
        await instances.close()


async def _untold(_: Output) -> None:
    """How a source gets on is nobody's business here."""


async def test_a_page_is_landed_once_though_kafka_takes_longer_than_the_source_has_patience() -> None:
    kafka, source = Kafka(), Pages()
    async with at_work(kafka, source) as instances:
        health = instances.health[source.key]
        await until(lambda: health.error)  # so its time is over
        assert (health.error.partition(",")[0], health.through_by) == ("what came is not in Kafka yet", inf)
        kafka.answers.set()
        await until(lambda: len(source.asked) >= 3 and not health.error)
        assert health.through_by < inf
    assert set(source.asked[1:]) == {"1"}
    assert len(kafka.memory.landed(source)) == 1


async def test_a_hand_over_does_not_wait_for_kafka_and_leaves_neither_a_gap_nor_a_repeat() -> None:
    kafka, source = Kafka(), Pages()
    async with at_work(kafka, source) as instances:
        await until(kafka.begun.is_set)
        async with asyncio.timeout(5):
            await instances.revoked()
        assert instances.health == {}
        await instances.assigned([0])
        kafka.answers.set()
        await until(lambda: len(source.asked) >= 2)
    assert set(source.asked[1:]) == {"1"}
    assert len(kafka.memory.landed(source)) == 1
