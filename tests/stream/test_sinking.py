"""Sinks at the real deliver stage, in simulated time: a system that fails, refuses, halts, and workers that die."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.delivery.message import REPLAY
from hub.events.envelope import Event
from hub.events.generated.licensing import FeePaid
from hub.events.generated.payments import PaymentCreated
from hub.events.kafka import to_headers
from hub.registry.codec import encode
from hub.registry.schemas import Registry
from hub.sdk import (
    ConnectorConfig,
    Entry,
    ExportSink,
    Fact,
    Instance,
    OutcomeSink,
    Receipt,
    Record,
    Reject,
    Retry,
    Sink,
    Stop,
)
from hub.sdk.facts import to_event
from hub.sdk.fleet import Fleet, Member
from hub.stream.conditions import Conditions, Oversight
from hub.stream.controls import Controls, control_output
from hub.stream.instances import Desk
from hub.stream.pulling import work_of
from hub.stream.raw import CASE, CAUSE, attributes_of
from hub.stream.records import Output, Read
from hub.stream.redrive import REDRIVE
from hub.stream.register_cache import entry_output
from hub.stream.replay import SINKS
from hub.stream.sinking import Sinks
from hub.testing.in_memory import InMemory, drive
from tests.stream.delivering_world import START, SimulatedKafka, Worker, until

Headers = Iterable[tuple[str, bytes]]
Simulate = Callable[[Coroutine[Any, Any, None]], None]
MOMENT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@dataclass
class System:
    """An outside ledger: what it was told, by key. `says` may raise in place of its answer."""

    booked: list[tuple[str, str]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    says: Callable[[str], None] = lambda _: None
    slow: float = 0.01
    loses_answers: bool = False


class Config(ConnectorConfig):
    """Nothing to set."""


class Booked(Record):
    """What the ledger says."""

    reference: str


class Ledger(OutcomeSink[Config, Booked]):
    name = "ledger"
    accepts = (FeePaid,)
    emits = (PaymentCreated,)
    system = System()

    def wants(self, event: Event) -> bool:
        return event.data["ledger_code"] != "for another"

    async def deliver(self, event: Event, key: str) -> Receipt:
        await asyncio.sleep(self.system.slow)
        self.system.says(event.envelope.subject)
        self.system.booked.append((event.envelope.subject, key))
        if self.system.loses_answers:
            await asyncio.Event().wait()
        return Receipt(f"L-{len(self.system.booked)}", outcome={"reference": event.envelope.subject})

    async def find(self, event: Event, key: str) -> Receipt | None:
        self.system.asked.append(event.envelope.subject)
        known = any(booked == key for _, booked in self.system.booked)
        return Receipt("found", outcome={"reference": event.envelope.subject}) if known else None

    def events(self, record: Booked) -> Iterator[Fact]:
        return iter(())


class Register(ExportSink[Config]):
    name = "register"
    accepts = (FeePaid,)
    every = timedelta(microseconds=1)
    settled_after = timedelta()
    handed_over: list[list[Mapping[str, Any]]] = []  # noqa: RUF012 - of this test's own making

    def entry(self, event: Event) -> Entry:
        if event.data["amount"] == 0:
            return Entry(event.envelope.subject, None)
        return Entry(
            event.envelope.subject, {"licence": event.envelope.subject, "paid": event.data["amount"]}
        )

    async def export(self, rows: Any, moment: datetime) -> Receipt:
        self.handed_over.append([row async for row in rows])
        return Receipt("taken")


@dataclass
class World:
    """A party's inbox, and one sink of one instance."""

    registry: Registry
    sink: Sink[Any]
    kafka: SimulatedKafka = field(default_factory=SimulatedKafka)
    controls: Controls = field(default_factory=Controls)
    number: int = 0

    def __post_init__(self) -> None:
        self.conditions = Conditions(self._untold)

    async def _untold(self, _: Output) -> None: ...

    def worker(self) -> Worker:
        fleet = Fleet({"one": Member(self.sink.instance, (self.sink,))})
        loop = asyncio.get_running_loop()
        oversight = Oversight(self.controls, self.conditions)
        sinks = Sinks(fleet, self.registry, 4, oversight, lambda: START + loop.time())
        return Worker(self.kafka, sinks)  # type: ignore[arg-type]  # the real recipients

    def put(self, subject: str, beside: Headers = (), **data: Any) -> Event:
        """A fee in the inbox."""
        self.number += 1
        given = {"council": "x", "licence_reference": subject, "payment_id": "p", "amount": 100} | data
        paid = FeePaid(
            **{"currency": "GBP", "paid_at": MOMENT, "licence_type": None, "ledger_code": None} | given
        )
        event = to_event(Fact(paid, subject, MOMENT, f"k{self.number}"), "/s", "x", "c")
        self.append(event, beside)
        return event

    def append(self, event: Event, beside: Headers = ()) -> None:
        """An event in the inbox, with headers beside its own."""
        log = self.kafka.logs["inbox.x", 0]
        now = int(1000 * (START + asyncio.get_running_loop().time()))
        value = encode(self.registry.by_type(FeePaid.type), event.data)
        key, headers = event.envelope.subject.encode(), [*to_headers(event.envelope), *beside]
        log.append(Read("inbox.x", 0, len(log), now, key, value, headers))
        self.tell()

    def tell(self) -> None:
        """Whoever reads the inbox looks again."""
        self.kafka.appended.set()
        self.kafka.appended = asyncio.Event()

    async def ready(self) -> None:
        """The sink's cursors are there: what enters the inbox from now on is for it."""
        await until(lambda: len(self.kafka.standings) == 2, 1)

    def say(self, paused: bool) -> None:
        """An operator pauses or resumes the instance."""
        self.controls.change("one", control_output("one", paused).value)


def world(registry: Registry, kind: type[Sink[Any]] = Ledger) -> tuple[World, System]:
    sink = kind(Instance("one", "ledgers", "x"), Config())
    sink.system = System()  # type: ignore[attr-defined]
    return World(registry, sink), sink.system  # type: ignore[attr-defined]


def test_an_event_is_applied_once_under_its_id_and_what_came_of_it_is_landed_with_its_case(
    registry: Registry, simulate: Simulate
) -> None:
    async def run() -> None:
        one, system = world(registry)
        async with one.worker():
            await one.ready()
            events = [one.put(f"P-{number % 3}") for number in range(9)]
            one.put("P-1", ledger_code="for another")
            await until(lambda: len(one.kafka.receipts) == 9, 2)
        assert sorted(key for _, key in system.booked) == sorted(event.envelope.id for event in events)
        for subject in ("P-0", "P-1", "P-2"):
            mine = [event.envelope.id for event in events if event.envelope.subject == subject]
            assert [key for about, key in system.booked if about == subject] == mine
        for output in one.kafka.receipts:
            told = attributes_of(output.headers)
            (event,) = [event for event in events if event.envelope.id == told[CAUSE]]
            assert told[CASE] == event.envelope.correlation_id
            assert (output.topic, output.key) == ("raw.ledgers", event.envelope.subject.encode())
            assert json.loads(output.value or b"") == {"reference": event.envelope.subject}
        assert [outcome for outcome, _, _ in one.kafka.journal] == ["delivered"] * 9

    simulate(run())


def test_a_replay_goes_to_a_sink_only_where_it_names_its_instance(
    registry: Registry, simulate: Simulate
) -> None:
    async def run() -> None:
        one, system = world(registry)
        async with one.worker():
            await one.ready()
            one.put("P-0", [(REPLAY, b"p1")])
            one.put("P-0", [(REPLAY, b"p2"), (SINKS, b"another,one-more")])
            named = one.put("P-0", [(REPLAY, b"p3"), (SINKS, b"another,one")])
            later = one.put("P-0")
            await until(lambda: len(system.booked) == 2, 2)
        assert [key for _, key in system.booked] == [named.envelope.id, later.envelope.id]
        assert [outcome for outcome, _, _ in one.kafka.journal] == ["delivered"] * 2

    simulate(run())


def test_a_failure_holds_up_its_own_subject_until_it_passes_and_the_system_is_asked_before_a_repeat(
    registry: Registry, simulate: Simulate
) -> None:
    async def run() -> None:
        one, system = world(registry)

        def failing(subject: str) -> None:
            if subject == "P-0":
                raise Retry("the ledger answered 503")

        system.says = failing
        async with one.worker():
            await one.ready()
            await asyncio.sleep(120)  # so that nobody else may have tried what comes
            sent = [one.put(f"P-{number % 2}") for number in range(6)]
            await until(lambda: len(system.booked) == 3, 2)
            assert {subject for subject, _ in system.booked} == {"P-1"}
            assert system.asked == []
            assert one.conditions.of("one/ledger").error == "the ledger answered 503"
            system.says = lambda _: None
            await until(lambda: len(system.booked) == 6, 600)
        assert system.asked == ["P-0"]
        assert sorted(key for _, key in system.booked) == sorted(event.envelope.id for event in sent)
        assert one.conditions.of("one/ledger").state == "well"

    simulate(run())


def test_what_the_system_refuses_is_set_aside_and_the_next_of_its_subject_goes_on(
    registry: Registry, simulate: Simulate
) -> None:
    async def run() -> None:
        one, system = world(registry)
        refused = [True]

        def refusing(_: str) -> None:
            if refused.pop() if refused else False:
                raise Reject("the ledger code is closed", field="ledger_code")

        system.says = refusing
        async with one.worker():
            await one.ready()
            one.put("P-0")
            second = one.put("P-0")
            await until(lambda: len(system.booked) == 1, 2)
        assert system.booked == [("P-0", second.envelope.id)]
        assert one.kafka.letters == [("sink/one/ledger", (0, 0))]

    simulate(run())


def test_a_halt_keeps_every_event_until_a_person_resumes_the_instance(
    registry: Registry, simulate: Simulate
) -> None:
    async def run() -> None:
        one, system = world(registry)
        attempts: list[str] = []

        def revoked(subject: str) -> None:
            attempts.append(subject)
            raise Stop("the ledger answered 401: check the instance's credentials")

        system.says = revoked
        async with one.worker():
            await one.ready()
            for number in range(40):
                one.put(f"P-{number}")
            await until(lambda: one.conditions.of("one/ledger").state == "halted", 2)
            await asyncio.sleep(3 * 86_400)
            assert len(attempts) <= 16, "it went on asking with a credential that is refused"
            system.says = lambda _: None
            one.say(paused=False)
            await until(lambda: len(system.booked) == 40, 60)
        assert len(set(system.booked)) == 40
        assert not one.kafka.letters
        assert one.conditions.of("one/ledger").state == "well"

    simulate(run())


def test_nothing_leaves_while_the_instance_is_paused(registry: Registry, simulate: Simulate) -> None:
    async def run() -> None:
        one, system = world(registry)
        one.say(paused=True)
        async with one.worker():
            await one.ready()
            for number in range(30):
                one.put(f"P-{number}")
            await asyncio.sleep(3_600)
            assert system.booked == []
            one.say(paused=False)
            await until(lambda: len(system.booked) == 30, 60)

    simulate(run())


async def applied_by_a_worker_that_died(one: World, system: System, count: int) -> list[str]:
    """Ids of events that the system has, of which no note was written."""
    system.loses_answers = True
    worker = await one.worker().__aenter__()
    await one.ready()
    await asyncio.sleep(120)
    sent = [one.put(f"P-{number}").envelope.id for number in range(count)]
    await until(lambda: len(system.booked) == count, 2)
    await worker.kill()
    system.loses_answers = False
    return sent


def test_a_worker_that_dies_between_the_answer_and_the_note_leads_to_no_second_effect(
    registry: Registry, simulate: Simulate
) -> None:
    async def run() -> None:
        one, system = world(registry)
        sent = await applied_by_a_worker_that_died(one, system, 5)
        async with one.worker():
            await until(lambda: len(one.kafka.receipts) == 5, 60)
        assert sorted(key for _, key in system.booked) == sorted(sent)
        assert sorted(system.asked) == [f"P-{number}" for number in range(5)]

    simulate(run())


def test_nor_does_it_where_the_next_worker_cannot_read_the_inbox_for_minutes(
    registry: Registry, simulate: Simulate
) -> None:
    async def run() -> None:
        one, system = world(registry)
        (sent,) = await applied_by_a_worker_that_died(one, system, 1)
        unread = one.kafka.logs.pop(("inbox.x", 0))
        async with one.worker():
            await asyncio.sleep(300)
            one.kafka.logs["inbox.x", 0] = unread
            one.tell()
            await until(lambda: len(one.kafka.receipts) == 1, 60)
        assert system.booked == [("P-0", sent)]

    simulate(run())


@pytest.mark.parametrize(
    "beside", [[(REDRIVE, b"d1")], [(REPLAY, b"p1"), (SINKS, b"one")]], ids=["redriven", "replayed"]
)
def test_of_what_is_sent_again_days_later_the_system_is_asked_before_it_acts(
    registry: Registry, simulate: Simulate, beside: Headers
) -> None:
    async def run() -> None:
        one, system = world(registry)
        async with one.worker():
            await one.ready()
            await asyncio.sleep(120)
            event = one.put("P-0")
            await until(lambda: len(one.kafka.receipts) == 1, 2)
            await asyncio.sleep(5 * 86_400)
            one.append(event, beside)
            await until(lambda: len(one.kafka.receipts) == 2, 2)
        assert system.asked == ["P-0"]
        assert system.booked == [("P-0", event.envelope.id)]

    simulate(run())


def test_a_call_that_never_ends_is_a_failure_like_any_other(registry: Registry, simulate: Simulate) -> None:
    async def run() -> None:
        one, system = world(registry)
        system.loses_answers = True
        async with one.worker():
            await one.ready()
            one.put("P-0")
            await until(lambda: "attempt-failed" in {told for told, _, _ in one.kafka.journal}, 200)
            assert one.conditions.of("one/ledger").error == "no answer within 120 s"
            system.loses_answers = False
            await until(lambda: len(one.kafka.receipts) == 1, 200)
        assert len(system.booked) == 1, "the attempt that had arrived was found"

    simulate(run())


def test_a_register_is_handed_over_whole_and_only_when_it_changed(
    registry: Registry, simulate: Simulate, tmp_path: Path
) -> None:
    one, _ = world(registry, Register)
    sink = one.sink
    assert isinstance(sink, Register)
    sink.handed_over, memory = [], InMemory()

    async def run() -> None:
        async with one.worker():
            await one.ready()
            for subject, amount in (("P-2", 5), ("P-1", 7), ("P-3", 9)):
                one.put(subject, amount=amount)
            await until(lambda: len(one.kafka.receipts) == 3, 2)
            one.put("P-2", amount=0)
            one.put("P-1", amount=8)
            await until(lambda: len(one.kafka.receipts) == 5, 2)

    simulate(run())

    async def hand_over(count: int) -> None:
        await memory.commit(one.kafka.receipts[:count], ("", 0))
        del one.kafka.receipts[:count]
        await drive(sink, memory, tmp_path)

    for count in (3, 0, 2):
        asyncio.run(hand_over(count))
    assert sink.handed_over == [
        [{"licence": "P-1", "paid": 7}, {"licence": "P-2", "paid": 5}, {"licence": "P-3", "paid": 9}],
        [{"licence": "P-1", "paid": 8}, {"licence": "P-3", "paid": 9}],
    ]


async def test_half_of_a_register_that_is_coming_in_does_not_stand_for_the_whole(
    registry: Registry, tmp_path: Path
) -> None:
    class Resting(Register):
        every = timedelta(hours=1)
        settled_after = timedelta(seconds=10)

    sink, memory = world(registry, Resting)[0].sink, InMemory()
    assert isinstance(sink, Resting)
    sink.handed_over = []
    work, desk = work_of(sink, memory.log, 0, tmp_path), Desk(sink.key, 0, memory)
    assert work is not None
    await desk.load()
    await work.begin(desk)
    for number in range(3):
        await memory.commit([entry_output(sink.key, 0, Entry(f"P-{number}", {"paid": number}))], ("", 0))
        assert await work.round(desk) == 10, "it changed since the last look"
    assert not sink.handed_over
    assert await work.round(desk) == 3600
    await work.end()
    assert sink.handed_over == [[{"paid": 0}, {"paid": 1}, {"paid": 2}]]
