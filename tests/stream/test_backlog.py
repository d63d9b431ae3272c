"""What waits for a stage is taken in few transactions where there is little, and at once where there is much."""

from __future__ import annotations

import asyncio

from hub.stream.backlog import Backlog
from hub.stream.records import Batch, Fence, Read

FOR_EVER = 1e6  # seconds


def batch(number: int, records: int) -> Batch:
    read = [Read("events.bench", 0, number + at, 0, b"k", b"v", []) for at in range(records)]
    return Batch("events.bench", 0, read, Fence("hub", 1, "member"), number)


async def test_a_flood_is_not_kept_waiting_for_more() -> None:
    backlog = Backlog()
    await backlog.put(batch(0, 5_000))
    async with asyncio.timeout(5):
        assert len(await backlog.take(FOR_EVER)) == 1


async def test_few_records_wait_until_there_are_enough() -> None:
    backlog = Backlog()
    await backlog.put(batch(0, 10))
    taking = asyncio.create_task(backlog.take(FOR_EVER))
    await asyncio.sleep(0)
    assert not taking.done()
    await backlog.put(batch(10, 5_000))
    async with asyncio.timeout(5):
        assert len(await taking) == 2


async def test_few_records_are_taken_when_the_time_is_over() -> None:
    backlog = Backlog()
    await backlog.put(batch(0, 10))
    async with asyncio.timeout(5):
        assert len(await backlog.take(0.01)) == 1
