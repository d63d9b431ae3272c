"""Batches through Faust and back into Kafka, each record once, through all that Kafka and its groups do to us."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.stream.broker.embedded import EmbeddedBroker
from tests.stream.copying import Pair, copying, until


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """One that these tests may stop and freeze."""
    with EmbeddedBroker(tmp_path_factory.mktemp("kafka")) as running:
        yield running


def numbers(start: int, stop: int) -> list[bytes]:
    return [b"%d" % number for number in range(start, stop)]


async def test_workers_that_come_and_go_lose_and_repeat_nothing(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    pair = Pair(broker.address, 3)
    feeding = asyncio.gather(
        *(asyncio.to_thread(pair.feed, numbers(0, 6_000), part) for part in pair.partitions)
    )
    copied = lambda: sum(len(pair.copied(part)) for part in pair.partitions)  # noqa: E731
    async with copying(pair, tmp_path) as first:
        await until(lambda: copied() > 500, running=[first])
        async with copying(pair, tmp_path) as second:
            await until(lambda: copied() > 3_000, running=[first, second])
            async with copying(pair, tmp_path) as third:
                await until(lambda: copied() > 6_000, running=[first, second, third])
                assert third.stage.taken
        await until(lambda: copied() > 9_000, running=[first])
    await feeding
    async with copying(pair, tmp_path) as last:
        await until(lambda: pair.lag() == 0, running=[last])
    for part in pair.partitions:
        assert pair.copied(part) == numbers(0, 6_000)
