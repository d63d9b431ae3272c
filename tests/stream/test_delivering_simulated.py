"""The deliver stage, hours of it in milliseconds: backlogs, restarts and slow recipients, in simulated time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from hub.delivery.cursor import Bounds, Standing
from hub.delivery.message import Message
from hub.delivery.schedule import Outcome
from hub.stream.records import Output
from tests.stream.delivering_world import (
    DAY,
    DOWN,
    OK,
    START,
    Recipient,
    Recipients,
    SimulatedKafka,
    Worker,
    until,
)

HOUR = 3_600.0
Simulate = Callable[[Coroutine[Any, Any, None]], None]


def test_what_comes_is_delivered_at_once_and_leaves_nothing_behind(simulate: Simulate) -> None:
    async def run() -> None:
        kafka, one = SimulatedKafka(), Recipient("s1")
        async with Worker(kafka, Recipients(one)):
            await until(lambda: len(kafka.standings) == 2, 1)
            before = kafka.written
            for number in range(50):
                kafka.put("inbox.x", number % 2, f"p-{number % 5}")
                await asyncio.sleep(0.05)
            await until(lambda: len(one.taken) == 50, 1)
            await until(lambda: kafka.positions["inbox.x", 0] == kafka.logs["inbox.x", 0][-1].offset + 1, 0.3)
        assert kafka.written == before
        assert set(kafka.standings.values()) == {Standing()}
        assert sorted(one.places) == sorted(
            {(read.partition, read.offset) for log in kafka.logs.values() for read in log}
        )
        assert one.in_order()
        assert [outcome for outcome, _, _ in kafka.journal] == ["delivered"] * 50

    simulate(run())


def test_one_that_is_away_for_an_hour_costs_no_memory_and_no_records_and_gets_all_afterwards_once_in_order(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        kafka, away, other = SimulatedKafka(page=256), Recipient("away", down=True), Recipient("other")
        async with Worker(kafka, Recipients(away, other)) as worker:
            sent: dict[tuple[int, int], float] = {}
            written: list[int] = []
            for number in range(3_600):
                now = asyncio.get_running_loop().time()
                sent[number % 2, kafka.put("inbox.x", number % 2, f"p-{number % 300}")] = now
                await asyncio.sleep(1)
                assert worker.held()[0] <= 128
                written.append(kafka.written)
            # Those that were tried before it was known to be away, by their schedule, and one look a minute.
            assert len(away.arrived) < 200
            assert written[-1] - written[600] < 100
            assert {place for place, at in other.taken_at.items() if at - sent[place] > 0.02} == set()
            away.down = False
            await until(lambda: len(away.taken) == 3_600, 180)
            assert worker.held()[0] <= 128
        assert set(away.places) == set(sent)
        assert len(away.places) == 3_600
        assert away.in_order()
        assert set(kafka.standings.values()) == {Standing()}

    simulate(run())


def test_a_restart_in_the_middle_of_a_backlog_reads_a_window_of_it_and_delays_nobody(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        kafka, slow, other = SimulatedKafka(page=64), Recipient("slow", slow=1.0), Recipient("other")
        recipients = Recipients(slow, other)
        worker = await Worker(kafka, recipients).__aenter__()
        for number in range(3_000):
            kafka.put("inbox.x", number % 2, f"p-{number % 500}")
        await until(lambda: len(slow.taken) >= 500, 60)
        await worker.kill()
        kafka.reads = 0
        async with Worker(kafka, recipients) as worker:
            last = kafka.put("inbox.x", 0, "new")
            await until(lambda: (0, last) in other.taken_at, 0.1)
            assert kafka.reads <= 10
            await until(lambda: len(set(slow.places)) == 3_001, 300)
            assert worker.held()[0] <= 128
        # What was over, but not written when the worker died, comes again: what was held then at most.
        assert len(slow.places) - len(set(slow.places)) <= 2 * 16 + 16
        assert slow.in_order()
        assert len(set(other.places)) == 3_001

    simulate(run())


def test_a_subject_that_fails_holds_up_itself_alone_however_many_events_come_after(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        kafka = SimulatedKafka()
        one = Recipient("s1", outcome=lambda message: Outcome(500 if message.subject == "bad" else 204))
        async with Worker(kafka, Recipients(one)) as worker:
            await until(lambda: len(kafka.standings) == 2, 1)
            for number in range(400):
                kafka.put("inbox.x", 0, "bad")
                kafka.put("inbox.x", 0, f"p-{number}")
                await asyncio.sleep(0.01)
            await until(lambda: len(one.taken) == 400, 5)
            open_, held = worker.held()
            assert (open_, held) == (400, 0)
            one.outcome = None
            await until(lambda: len(one.taken) == 800, 4 * 3_600, step=1)
        assert one.in_order()

    simulate(run())


def test_a_recipient_made_just_before_a_crash_gets_what_came_since(simulate: Simulate) -> None:
    async def run() -> None:
        kafka, recipients = SimulatedKafka(), Recipients(Recipient("old"))
        worker = await Worker(kafka, recipients).__aenter__()
        for number in range(40):
            kafka.put("inbox.x", number % 2, f"p-{number}")
            await asyncio.sleep(0.1)
        new = Recipient("new", created=START + asyncio.get_running_loop().time())
        wanted = set()
        for number in range(40):
            await asyncio.sleep(0.1)
            wanted.add((number % 2, kafka.put("inbox.x", number % 2, f"p-{number}")))
        recipients.all.append(new)
        worker.delivering.changed()
        await asyncio.sleep(0)  # it has heard of it, and nothing more
        await worker.kill()
        assert not [owner for owner in kafka.standings if owner[0] == "new"]
        assert new.arrived == []
        async with Worker(kafka, recipients):
            await until(lambda: set(new.places) >= wanted, 5)
        assert set(new.places) == wanted
        assert len(new.places) == len(wanted)

    simulate(run())


def test_a_recipient_that_a_new_owner_has_not_heard_of_yet_misses_nothing(simulate: Simulate) -> None:
    async def run() -> None:
        kafka, one, other = SimulatedKafka(), Recipient("s1"), Recipient("s2")
        recipients = Recipients(one, other)
        async with Worker(kafka, recipients):
            kafka.put("inbox.x", 0, "p-1")
            await until(lambda: len(one.taken) == len(other.taken) == 1, 1)
        recipients.all.remove(one)
        async with Worker(kafka, recipients):
            kafka.put("inbox.x", 0, "p-2")
            await until(lambda: len(other.taken) == 2, 1)
        async with Worker(kafka, recipients) as worker:
            kafka.put("inbox.x", 0, "p-3")
            await until(lambda: len(other.taken) == 3, 1)
            recipients.all.append(one)
            worker.delivering.changed()
            await until(lambda: len(one.taken) == 3, 1)
        assert one.places == other.places

    simulate(run())


def test_a_hand_over_waits_for_what_is_under_way_and_repeats_nothing(simulate: Simulate) -> None:
    async def run() -> None:
        kafka, quick, hangs = SimulatedKafka(), Recipient("quick", slow=0.5), Recipient("hangs", slow=50)
        async with Worker(kafka, Recipients(quick, hangs)) as worker:
            for number in range(100):
                kafka.put("inbox.x", number % 2, f"p-{number}")
            for _ in range(5):
                await asyncio.sleep(0.7)
                await worker.rebalance()
            await until(lambda: len(quick.taken) == 100, 60)
            hangs.slow = 0.1
            await until(lambda: len(set(hangs.taken)) == 100, 120)
        assert len(set(quick.places)) == len(quick.places) == 100
        assert quick.in_order() and hangs.in_order()

    simulate(run())


def test_a_party_with_a_slow_subscriber_slows_neither_its_others_nor_other_parties(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        kafka = SimulatedKafka()
        slow, beside, elsewhere = (
            Recipient("slow", slow=14),
            Recipient("beside"),
            Recipient("away", party="y"),
        )
        places = [("inbox.x", 0), ("inbox.y", 0)]
        async with Worker(kafka, Recipients(slow, beside, elsewhere), places=places) as worker:
            await until(lambda: len(kafka.standings) == 3, 1)
            sent = {}
            for number in range(2_000):
                now = asyncio.get_running_loop().time()
                for topic, one in (("inbox.x", beside), ("inbox.y", elsewhere)):
                    sent[one, kafka.put(topic, 0, f"p-{number}")] = now
                await asyncio.sleep(0.05)
                assert worker.held() <= (128, 128)
            late = [
                place
                for (one, offset), at in sent.items()
                if (place := one.taken_at.get((0, offset))) is None or place - at > 0.011
            ]
            assert late == []
            assert len(slow.under_way) == 16
            slow.slow = 0.0
            await until(lambda: len(slow.taken) == 2_000, 60)
        assert slow.in_order()

    simulate(run())


def test_one_that_says_it_is_gone_gets_nothing_more_and_leaves_no_cursor(simulate: Simulate) -> None:
    async def run() -> None:
        kafka, one, other = SimulatedKafka(), Recipient("s1"), Recipient("s2")
        one.outcome = lambda message: Outcome(410 if message.offset == 5 else 204)
        async with Worker(kafka, Recipients(one, other)):
            for _ in range(30):
                kafka.put("inbox.x", 0, "p-1")
            await until(lambda: len(other.taken) == 30, 5)
        assert one.places == [(0, offset) for offset in range(5)]
        assert {owner[0] for owner in kafka.standings} == {"s2"}

    simulate(run())


def test_what_was_redriven_for_one_goes_to_that_one_alone(simulate: Simulate) -> None:
    async def run() -> None:
        kafka, one, other = SimulatedKafka(), Recipient("s1"), Recipient("s2")
        async with Worker(kafka, Recipients(one, other)):
            kafka.put("inbox.x", 0, "p-1", only="s2")
            kafka.put("inbox.x", 0, "p-1", only=":nobody")
            last = kafka.put("inbox.x", 0, "p-1")
            await until(lambda: one.places == [(0, last)], 1)
        assert other.places == [(0, 0), (0, last)]

    simulate(run())


def test_the_backlog_of_one_that_stays_away_is_dead_lettered_before_kafka_drops_it(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        kafka, away = SimulatedKafka(), Recipient("away", down=True)
        async with Worker(kafka, Recipients(away), kept_s=HOUR, bounds=Bounds(fresh=20)):
            for number in range(600):
                kafka.put("inbox.x", 0, f"p-{number}")
                await asyncio.sleep(30)
        letters = [offset for _, (_, offset) in kafka.letters]
        started = {offset for _, offset, _ in away.arrived}  # for them, it is the schedule that counts
        now = kafka.logs["inbox.x", 0][-1].timestamp
        old = {
            read.offset for read in kafka.logs["inbox.x", 0] if read.timestamp < now - 1_000 * (HOUR + 120)
        }
        young = {read.offset for read in kafka.logs["inbox.x", 0] if read.timestamp > now - 1_000 * HOUR}
        assert old - started <= set(letters)
        assert not young & set(letters)
        assert len(letters) == len(set(letters)) > 100

    simulate(run())


def test_a_backlog_is_dead_lettered_in_time_however_often_the_partitions_move(simulate: Simulate) -> None:
    async def run() -> None:
        kafka, away = SimulatedKafka(), Recipient("away", down=True)
        worker = await Worker(kafka, Recipients(away), kept_s=10 * HOUR, bounds=Bounds(fresh=4)).__aenter__()
        await until(lambda: len(kafka.standings) == 2, 1)
        for number in range(1_000):
            kafka.put("inbox.x", 0, f"p-{number}")
        for _ in range(6):
            await asyncio.sleep(2 * HOUR)
            await worker.rebalance()
        await asyncio.sleep(300)
        letters = {offset for _, (_, offset) in kafka.letters}
        started = {offset for _, offset, _ in away.arrived}
        assert {read.offset for read in kafka.logs["inbox.x", 0]} == letters | started
        assert len(letters) > 500
        await worker.stop()

    simulate(run())


def test_one_that_always_asks_for_a_day_gets_no_more_time_than_kafka_keeps_the_event(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        kafka = SimulatedKafka()
        busy = Recipient("busy", outcome=lambda _: Outcome(503, "HTTP 503", retry_after=DAY))
        async with Worker(kafka, Recipients(busy), kept_s=HOUR):
            offset = kafka.put("inbox.x", 0, "p-1")
            await asyncio.sleep(4 * DAY)
            assert kafka.letters == [("busy", (0, offset))]
            assert len(busy.arrived) >= 4

    simulate(run())


def test_events_that_fail_for_themselves_hold_up_their_own_subjects_and_no_other(simulate: Simulate) -> None:
    async def run() -> None:
        kafka = SimulatedKafka()
        one = Recipient("s1", outcome=lambda told: DOWN if told.subject.startswith("bad") else OK)
        async with Worker(kafka, Recipients(one)):
            await until(lambda: len(kafka.standings) == 2, 1)
            for number in range(20):
                kafka.put("inbox.x", number % 2, f"bad-{number}")
            await asyncio.sleep(HOUR)
            for number in range(100):
                kafka.put("inbox.x", number % 2, f"good-{number % 30}")
            await until(lambda: len(one.taken) == 100, 61)
            assert one.in_order()

    simulate(run())


@pytest.mark.parametrize("restart", [False, True])
def test_what_waits_behind_a_failure_until_it_is_too_old_is_set_aside_with_all_that_it_was(
    simulate: Simulate, restart: bool
) -> None:
    async def run() -> None:
        kafka, recipients = SimulatedKafka(page=2), Recipients(Recipient("s1", down=True))
        worker = await Worker(kafka, recipients, kept_s=HOUR).__aenter__()
        await until(lambda: len(kafka.standings) == 2, 1)
        for _ in range(5):
            kafka.put("inbox.x", 0, "p-1")
        await until(lambda: ("attempt-failed", "s1", 0) in kafka.journal, 1)
        if restart:
            await worker.rebalance()
        await asyncio.sleep(HOUR - 60)
        kafka.away = True  # when the time is over, so that nothing can be read
        await asyncio.sleep(300)
        assert kafka.letters == []
        kafka.away = False
        await until(lambda: len(kafka.letters) == 4, 120)
        await worker.stop()
        assert kafka.letters == [("s1", (0, offset)) for offset in (1, 2, 3, 4)]

    simulate(run())


def test_an_event_that_kafka_has_dropped_is_not_passed_over_silently(simulate: Simulate) -> None:
    async def run() -> None:
        kafka, one = SimulatedKafka(), Recipient("s1", down=True)
        recipients = Recipients(one)
        async with Worker(kafka, recipients):
            kafka.put("inbox.x", 0, "p-1")
            await until(lambda: any(standing.tried for standing in kafka.standings.values()), 1)
        kafka.put("inbox.x", 0, "p-2")
        kafka.drop_before("inbox.x", 0, 1)
        one.down = False
        async with Worker(kafka, recipients):
            await until(lambda: one.places == [(0, 1)], 1)
        assert kafka.letters == [("s1", (0, 0))]

    simulate(run())


@pytest.mark.parametrize("fault", ["away", "sealed"])
def test_while_nothing_can_be_written_what_is_begun_is_bounded_and_nothing_is_lost(
    simulate: Simulate, fault: str
) -> None:
    async def run() -> None:
        kafka, one = SimulatedKafka(page=256), Recipient("s1")
        async with Worker(kafka, Recipients(one), batch=500):
            for number in range(6_000):
                kafka.put("inbox.x", number % 2, f"p-{number % 600}")
            await until(lambda: len(one.arrived) >= 100, 1)
            setattr(kafka, fault, True)
            await asyncio.sleep(120)
            assert len(one.arrived) < 2_600
            setattr(kafka, fault, False)
            await until(lambda: len(set(one.taken)) == 6_000, 60)
        assert len(one.places) == 6_000
        assert one.in_order()

    simulate(run())


def test_what_kafka_refuses_of_one_delivery_costs_that_one_alone(simulate: Simulate) -> None:
    async def run() -> None:
        kafka, one = SimulatedKafka(), Recipient("s1")
        receipt = lambda text: (Output("events.a", b"k", text),)  # noqa: E731
        one.outcome = lambda message: Outcome(
            204, outputs=receipt(b"refused" if message.offset in (3, 8) else b"fine")
        )
        async with Worker(kafka, Recipients(one)):
            for number in range(20):
                kafka.put("inbox.x", 0, f"p-{number}")
            await until(lambda: len(kafka.receipts) == 18, 2)
            await until(lambda: kafka.positions["inbox.x", 0] == kafka.logs["inbox.x", 0][-1].offset + 1, 1)
        assert sorted(kafka.letters) == [("s1", (0, 3)), ("s1", (0, 8))]
        assert len(one.taken) == 20

    simulate(run())


def test_nothing_beside_what_kafka_refuses_is_written_twice_whenever_the_worker_dies(
    simulate: Simulate,
) -> None:
    def answer(message: Message) -> Outcome:
        if message.offset in (1, 3):
            return Outcome(reason="no body can be made of it", final=True)
        value = b"refused" if message.offset == 5 else b"%d" % message.offset
        return Outcome(204, outputs=(Output("events.a", b"k", value),))

    async def run(after_s: float) -> bool:
        kafka, one = SimulatedKafka(), Recipient("s1", outcome=answer)
        worker = await Worker(kafka, Recipients(one)).__aenter__()
        await until(lambda: len(kafka.standings) == 2, 1)
        for number in range(6):
            kafka.put("inbox.x", 0, f"p-{number}")
        await until(lambda: len(one.arrived) == 6, 1, 0.01)
        await asyncio.sleep(after_s)
        early = kafka.positions["inbox.x", 0] < 6
        await worker.kill()
        async with Worker(kafka, Recipients(one)):
            await until(lambda: kafka.positions["inbox.x", 0] == 6, 60)
        assert sorted(kafka.letters) == [("s1", (0, 1)), ("s1", (0, 3)), ("s1", (0, 5))], after_s
        assert sorted(one.value for one in kafka.receipts) == [b"0", b"2", b"4"], after_s
        return early

    after = 0
    while simulate(run(after / 1000)):  # until it dies too late to do any harm
        after += 2
    assert after > 20


def test_one_that_was_away_when_a_worker_was_killed_misses_nothing_of_what_came_meanwhile(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        kafka, one = SimulatedKafka(), Recipient("s1", down=True)
        recipients = Recipients(one)
        worker = await Worker(kafka, recipients).__aenter__()
        await until(lambda: len(kafka.standings) == 2, 1)
        for number in range(32):
            kafka.put("inbox.x", 0, f"p-{number}")
        await until(lambda: worker.tenure._feeding.lanes.away("s1"), 5)
        for partition in (0, 1):  # of the second it has had nothing at all
            kafka.put("inbox.x", partition, "new")
        ends = {place: log[-1].offset + 1 for place, log in kafka.logs.items()}
        await until(lambda: kafka.positions == ends, 2)
        await worker.kill()
        one.down = False
        async with Worker(kafka, recipients):
            await until(lambda: len(set(one.places)) == 34, 60)
        assert one.in_order()

    simulate(run())


def test_one_that_is_back_gets_at_once_also_what_came_to_a_partition_where_nothing_was_tried(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        kafka, one = SimulatedKafka(), Recipient("s1", down=True)
        async with Worker(kafka, Recipients(one)) as worker:
            for number in range(32):
                kafka.put("inbox.x", 0, f"p-{number}")
            await until(lambda: worker.tenure._feeding.lanes.away("s1"), 5)
            kafka.put("inbox.x", 1, "new")
            await asyncio.sleep(60)
            one.down = False
            await until(lambda: len(one.taken) == 33, 61)

    simulate(run())


def test_what_hangs_when_a_worker_is_killed_is_tried_by_the_next_before_what_comes_after(
    simulate: Simulate,
) -> None:
    async def run() -> None:
        kafka, one = SimulatedKafka(), Recipient("s1", slow=50)
        recipients = Recipients(one)
        worker = await Worker(kafka, recipients).__aenter__()
        await until(lambda: len(kafka.standings) == 2, 1)
        first = kafka.put("inbox.x", 0, "p-1")
        await until(lambda: kafka.positions.get(("inbox.x", 0)) == first + 1, 2)
        await worker.kill()
        one.slow = 0.01
        second = kafka.put("inbox.x", 0, "p-1")
        async with Worker(kafka, recipients):
            await until(lambda: one.places == [(0, first), (0, second)], 2)

    simulate(run())


def test_a_worker_that_the_group_has_given_up_finds_out_and_tries_nothing_more(simulate: Simulate) -> None:
    async def run() -> None:
        kafka, one = SimulatedKafka(), Recipient("s1")
        async with Worker(kafka, Recipients(one)) as worker:
            kafka.put("inbox.x", 0, "p-1")
            await until(lambda: len(one.taken) == 1, 1)
            kafka.generation += 1  # it was not heard of for too long
            kafka.put("inbox.x", 0, "p-1")
            await asyncio.sleep(1)
            tried = len(one.arrived)
            for _ in range(20):
                kafka.put("inbox.x", 0, "p-1")
            await asyncio.sleep(60)
            assert len(one.arrived) == tried
            await worker.rebalance()
            await until(lambda: len(set(one.taken)) == 22, 5)
        assert one.in_order()

    simulate(run())


def test_what_is_written_of_an_event_does_not_happen_again_though_the_worker_dies_before_its_batch_is_over(
    simulate: Simulate,
) -> None:
    """A dead letter, what a receipt leads to, an attempt that counts: each once, beside one that takes its time."""

    def answer(message: Message) -> Outcome:
        return {
            "bad": Outcome(reason="no body can be made of it", final=True),
            "paid": Outcome(204, outputs=(Output("events.a", b"k", b"receipt"),)),
            "down": Outcome(500),
        }.get(message.subject, OK)

    async def run() -> None:
        kafka, one, slow = SimulatedKafka(), Recipient("s1", outcome=answer), Recipient("slow", slow=5)
        slow.kinds, recipients = ("slow.one",), Recipients(one, slow)
        worker = await Worker(kafka, recipients).__aenter__()
        await until(lambda: len(kafka.standings) == 4, 1)
        for subject in ("bad", "paid", "down"):
            kafka.put("inbox.x", 0, subject, kind="slow.one")
        await until(lambda: len(one.arrived) == 3, 0.1, 0.01)
        kafka.put("inbox.x", 1, "good")  # it is over at once, and that is written
        await until(lambda: ("delivered", "s1", 0) in kafka.journal, 0.2, 0.01)
        await worker.kill()
        async with Worker(kafka, recipients) as worker:
            await asyncio.sleep(4)
            worker.held()
            assert [offset for part, offset, _ in one.arrived if part == 0] == [0, 1, 2]
            one.outcome = None
            await until(lambda: one.places[-1] == (0, 2), 10)
            await until(lambda: len(slow.places) == 3, 20)
        assert kafka.letters == [("s1", (0, 0))]
        assert len(kafka.receipts) == 1

    simulate(run())
