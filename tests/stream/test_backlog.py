"""How much one transaction takes: what there is, while that is little; of a flood, what is short work."""

from __future__ import annotations

import asyncio

import pytest

from hub.stream.backlog import Backlog
from hub.stream.records import Batch, Fence, Read
from hub.stream.standing import Sequel
from tests.stream.fetching import fetched

FENCE = Fence("g", 1, "m")
MEGABYTE = 1 << 20
FOR_EVER = 1e6  # seconds


def batch(number: int = 0, records: int = 1, size: int = 10) -> Batch:
    values = [b"v" * (size // records)] * records
    read = [Read("t", 0, number * records + at, 0, b"", value, []) for at, value in enumerate(values)]
    return Batch("t", 0, read, FENCE, number)


async def filled(batches: int, records: int = 1, size: int = 10) -> Backlog:
    backlog = Backlog()
    for number in range(batches):
        await backlog.put(batch(number, records, size))
    return backlog


async def test_what_is_little_is_taken_at_once_and_whole() -> None:
    backlog = await filled(3)
    assert [one.number for one in await backlog.take()] == [0, 1, 2]
    assert not backlog


async def test_a_flood_is_taken_in_order_and_in_bites_that_grow_while_transactions_are_short() -> None:
    backlog = await filled(40, records=1_000)
    taken = []
    while backlog:
        bite = await backlog.take()
        taken.append(sum(len(one.records) for one in bite))
        backlog.learn(taken[-1], 0.02)
    assert taken == [1_000, 2_000, 4_000, 8_000, 16_000, 9_000]


async def test_bites_shrink_where_their_work_is_long_and_one_that_was_very_long_does_not_stick() -> None:
    backlog = Backlog()
    for _ in range(10):
        backlog.learn(backlog.limit, 0.02)
    assert backlog.limit == 16_000
    backlog.learn(16_000, 2.0)
    assert backlog.limit == 8_000
    backlog.learn(20, 60.0)
    assert backlog.limit == 10
    for _ in range(3):
        backlog.learn(backlog.limit, 0.02)
    assert backlog.limit == 80


async def test_a_bite_is_bounded_in_bytes_whatever_its_number() -> None:
    backlog = await filled(14, size=MEGABYTE)
    assert [len(await backlog.take()), len(await backlog.take())] == [8, 6]


async def test_a_fetch_that_is_too_much_for_one_transaction_is_cut_and_its_rest_goes_with_the_next() -> None:
    backlog = Backlog()
    for number in range(2):
        sent = [(b"k", b"v", [])] * 2_600
        await backlog.put(Batch("t", 0, fetched(sent, each=200, base=number * 2_600), FENCE, number, 0))
    backlog.limit = 2_000
    taken = []
    while backlog:
        taken.append(await backlog.take())
    assert [sum(len(one.records) for one in some) for some in taken] == [2_000, 1_600, 1_600]
    sequel = Sequel()
    for one in (one for some in taken for one in some):
        sequel.check(one)
    with pytest.raises(RuntimeError, match="batch 1 of t-0 came where 2 was to come"):
        sequel.check(taken[-1][-1])


async def test_what_comes_waits_for_room() -> None:
    backlog = await filled(16, size=MEGABYTE)
    coming = asyncio.create_task(backlog.put(batch(16, size=MEGABYTE)))
    await asyncio.sleep(0)
    assert not coming.done()
    await backlog.take()
    await asyncio.wait_for(coming, 1)


async def test_it_says_which_partitions_have_something_here_and_that_any_may_while_others_wait_for_room() -> (
    None
):
    backlog = await filled(16, size=MEGABYTE)
    assert (backlog.holds(("t", 0)), backlog.holds(("t", 1))) == (True, False)
    coming = asyncio.create_task(backlog.put(batch(16, size=MEGABYTE)))
    await asyncio.sleep(0)
    assert backlog.holds(("t", 1))
    await backlog.take()
    await asyncio.wait_for(coming, 1)
    assert not backlog.holds(("t", 1))
    await backlog.take()
    await backlog.take()
    assert not backlog.holds(("t", 0))


async def test_one_batch_that_is_larger_than_the_room_is_let_in() -> None:
    backlog = Backlog()
    await asyncio.wait_for(backlog.put(batch(size=40 * MEGABYTE)), 1)
    assert len(await backlog.take()) == 1


async def test_few_records_wait_until_there_are_enough_and_a_flood_does_not() -> None:
    backlog = await filled(1, records=10)
    taking = asyncio.create_task(backlog.take(FOR_EVER))
    await asyncio.sleep(0)
    assert not taking.done()
    await backlog.put(batch(1, records=5_000, size=5_000))
    assert [one.number for one in await asyncio.wait_for(taking, 5)] == [0]
    assert [one.number for one in await asyncio.wait_for(backlog.take(FOR_EVER), 5)] == [1]


async def test_few_records_are_taken_when_the_time_is_over() -> None:
    backlog = await filled(1, records=10)
    assert len(await asyncio.wait_for(backlog.take(0.01), 5)) == 1
