"""Sources at work: what they were given waits while Kafka takes no transaction, and is landed once; and when they are
asked again, whoever asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from math import inf
from pathlib import Path
from threading import Event
from time import time
from typing import Any

import pytest

from hub.events.generated.payments import PaymentCreated
from hub.sdk import ConnectorConfig, Instance, Page, PollingSource, Retry
from hub.stream import topics
from hub.stream.conditions import Conditions, Oversight
from hub.stream.controls import Controls
from hub.stream.instances import Cursor, Desk, Instances
from hub.stream.polling import Polling
from hub.stream.records import Fence, Output, Place
from hub.stream.transactions import Transactor
from hub.testing.in_memory import Died, InMemory, drive
from tests.stream.at_work import Row
from tests.stream.copying import until

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

    def __init__(self, every: float = 0.01) -> None:
        super().__init__(Instance("one", "pages", "x", poll_every_s=every), ConnectorConfig())
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
        await until(lambda: health.through_by < inf)  # as it is between two commits
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


HOUR = 3_600.0


class Rounds(Pages):
    """The same, with time; `more` says that a page is not the last of its round."""

    patience = timedelta(minutes=1)
    more = False

    async def fetch(self, cursor: str | None) -> Page:
        return replace(await super().fetch(cursor), more=self.more)


async def asked(memory: InMemory, source: Rounds) -> list[str | None]:
    """What a new worker asks for before it has to wait."""
    await drive(source, memory, Path())
    return source.asked


async def test_a_round_that_is_over_is_not_begun_again_because_a_worker_takes_over() -> None:
    kafka, source = Kafka(), Rounds(HOUR)
    kafka.answers.set()
    async with at_work(kafka, source) as instances:
        await until(lambda: instances.health[source.key].good_at)
        good_at = instances.health[source.key].good_at
        await instances.revoked()
        await instances.assigned([0])
        health = instances.health[source.key]
        await until(lambda: health.next_at > time() + HOUR / 2)
    assert source.asked == [None]
    assert health.good_at <= good_at, "it was not asked"


async def test_an_interval_that_was_shortened_counts_from_the_end_of_the_last_round() -> None:
    memory = InMemory()
    assert await asked(memory, Rounds(HOUR)) == [None]
    assert await asked(memory, Rounds(HOUR)) == []
    assert await asked(memory, Rounds(1e-6)) == ["1"]


async def test_a_round_under_way_goes_on_at_once_with_the_next_worker() -> None:
    memory, first = InMemory(), Rounds(HOUR)
    memory.die, first.more = "after", True
    with pytest.raises(Died):
        await asked(memory, first)
    memory.die = ""
    assert await asked(memory, Rounds(HOUR)) == ["1"]


async def test_a_cursor_that_does_not_say_whether_its_round_was_over_is_gone_on_from_at_once() -> None:
    memory, source = InMemory(), Rounds(HOUR)
    stored = b'{"cursor":"1","polled_at":%d}' % time()  # as the hub wrote it before
    await memory.commit([Output(topics.CONNECTORS, source.key.encode(), stored, [], 0)], PLACE)
    assert await asked(memory, source) == ["1"]


class Busy(Rounds):
    """Asks to be left alone for a year."""

    async def fetch(self, cursor: str | None) -> Page:
        raise Retry("busy", after=366 * 24 * HOUR)


async def test_a_source_that_asks_to_be_left_alone_is_asked_again_within_the_hour() -> None:
    kafka, source = Kafka(), Busy()
    kafka.answers.set()
    async with at_work(kafka, source) as instances:
        health = instances.health[source.key]
        await until(lambda: health.next_at > time() + HOUR / 2)
        assert health.next_at <= time() + HOUR


@pytest.mark.parametrize(("ago", "rest"), [(2 * HOUR, 0), (HOUR / 4, HOUR * 3 / 4), (-HOUR, HOUR)])
async def test_what_is_left_of_the_interval_is_waited_for_and_no_more_though_a_clock_was_ahead(
    ago: float, rest: float
) -> None:
    memory, source = InMemory(), Rounds(HOUR)
    desk = Desk(source.key, 0, memory)
    desk.state = Cursor(cursor="1", polled_at=time() - ago, over=True)
    assert await Polling(source).begin(desk) == pytest.approx(rest, abs=60)
