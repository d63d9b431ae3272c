"""One run: a stage, a script of faults, a load with known truth; and the verdict."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from confluent_kafka import KafkaException

from hub.stream import topics
from tests.chaos import script
from tests.chaos.checker import Findings, judge, judge_letters
from tests.chaos.fault import Fault, Laboratory
from tests.chaos.faults import FAULTS
from tests.chaos.generator import FRESH, INSTANCES, Generator, Mix
from tests.chaos.processes import until
from tests.chaos.reading import arrivals_in, letters
from tests.chaos.registers import Registers
from tests.chaos.stage import Plan, Stage
from tests.chaos.truth import CAPTURED, GRANTED, REFUNDED, VARIED, Truth

Say = Callable[[str], None]

_HEAL_S = 90.0
_LATE_S = 3.0  # for what comes twice, late
_BEHIND = 20_000  # messages that may be accepted and not delivered before the generator waits
_JUDGED = {"events.payments": (CAPTURED, REFUNDED), "events.licensing": (GRANTED, VARIED)}


@dataclass(frozen=True, slots=True)
class Run:
    """What is asked for: `events` are messages and rows of registers together."""

    seed: int
    events: int
    faults: Sequence[str]
    plan: Plan = field(default_factory=Plan)
    mix: Mix = field(default_factory=Mix)
    registers: int = 0
    """Licences in each council's registers; 0: they leave none."""
    bulk: float = 1.0
    """The share of all events that rows may be; 1: there is always a register in hand."""
    lines: int = 96
    rate: float = 0.0
    quiet_s: float = 60.0
    """Without any delivery before what is missing is given up: longer than any wait of the schedule."""
    together: float = script.TOGETHER


@dataclass
class Struck:
    """What was done, and how long it took until all was well again."""

    faults: Sequence[str]
    accepted: int
    lasted_s: float
    healed_s: float | None = None


@dataclass
class Report:
    """What came of a run."""

    seed: int
    messages: int = 0
    rows: int = 0
    """Of registers: each is an event."""
    deliveries: int = 0
    seconds: float = 0.0
    busy_s: float = 0.0
    """From the first message until everything was delivered."""
    struck: list[Struck] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    places: dict[str, Findings] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    met: dict[str, dict[str, int]] = field(default_factory=dict)
    falls: list[dict[str, Any]] = field(default_factory=list)
    broker_falls: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    @property
    def events(self) -> int:
        """All that were accepted."""
        return self.messages + self.rows

    @property
    def totals(self) -> dict[str, int]:
        """Over all places."""
        found: Counter[str] = Counter()
        for place in self.places.values():
            found.update(place.counts())
        found["unknown"] += len(self.unknown)
        return dict(found)

    @property
    def right(self) -> bool:
        """Whether every promise held and everything could be judged."""
        return bool(self.places) and not self.unknown and all(one.right for one in self.places.values())

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        places = {
            name: {**found.counts(), "examples": found.examples()} for name, found in self.places.items()
        }
        own = {name: value for name, value in asdict(self).items() if name != "places"}
        return {**own, "right": self.right, "totals": self.totals, "places": places}


async def experiment(run: Run, folder: Path, say: Say) -> Report:
    """Run it, and judge. What goes wrong with the laboratory itself makes the report *unknown*; nothing raises."""
    report = Report(run.seed)
    started = time.monotonic()
    stage = Stage(folder, run.seed, run.plan)
    try:
        await stage.up()
        truth = Truth()
        generator = Generator(truth, stage.urls, run.seed, run.mix, run.rate)
        registers = Registers(truth, stage.offices, stage.subscribers, run.registers)
        lab = Laboratory(stage, generator, registers, truth)
        registers.room = lambda: registers.told <= run.bulk * lab.progress
        say(f"seed {run.seed}: the stage stands after {time.monotonic() - started:.0f} s")
        await _play(run, lab, report, say)
        await _judge(lab, report)
    except Exception as error:  # noqa: BLE001 - a laboratory that crashed has refuted nothing
        report.unknown.append(f"the laboratory failed: {type(error).__name__}: {error}")
    finally:
        await stage.down()
    report.seconds = round(time.monotonic() - started, 1)
    return report


async def _play(run: Run, lab: Laboratory, report: Report, say: Say) -> None:
    names = []
    for name in run.faults:
        reason = report.skipped.get(name) or FAULTS[name].skipped(lab.stage)
        if reason:
            report.skipped[name] = reason
        else:
            names.append(name)
    began = time.monotonic()
    sending = [
        asyncio.create_task(one) for one in (lab.generator.run(run.lines), lab.registers.run(), _brake(lab))
    ]

    async def reached(events: int) -> bool:
        return await until(lambda: lab.progress >= events or lab.silent_s > _HEAL_S, 3600)

    try:
        for act in script.write(run.seed, names, run.events, run.together):
            await reached(act.at)
            if lab.silent_s > _HEAL_S:
                report.unknown.append("nothing was accepted any more, and faults were left out")
                break
            report.struck.append(await _strike(act, lab, run.seed, say))
        missed, lab.missed = lab.missed, []
        for name in missed:  # once more, alone
            report.struck.append(await _strike(script.Act(lab.progress, (name,)), lab, run.seed, say))
        report.unknown += [f"{name} never struck" for name in lab.missed]
        await reached(run.events)
        lab.generator.enough = lab.registers.enough = True
        await _finish(sending[:2], lab)
        await _drain(lab, run.quiet_s, say)
        report.busy_s = round(time.monotonic() - began - _LATE_S, 1)
    finally:
        for one in sending:
            one.cancel()


async def _strike(act: script.Act, lab: Laboratory, seed: int, say: Say) -> Struck:
    at, began = lab.progress, time.monotonic()
    made: list[Fault] = [FAULTS[name](Random(f"{name} {act.at} {seed}")) for name in act.faults]
    begun: list[Fault] = []
    try:
        for one in made:
            begun.append(one)
            await one.begin(lab)
        await asyncio.gather(*(one.last(lab) for one in made))
    finally:
        for one in reversed(begun):
            await one.end(lab)
    struck = Struck(act.faults, at, round(time.monotonic() - began, 1))
    struck.healed_s = await _healed(lab)
    if struck.healed_s is None:
        lab.notes.append(f"after {' + '.join(act.faults)} not all was well again within {_HEAL_S:.0f} s")
    took = "not healed" if struck.healed_s is None else f"healed after {struck.healed_s:.1f} s"
    say(f"seed {seed}: at {at}: {' + '.join(act.faults)} for {struck.lasted_s} s, {took}")
    return struck


async def _healed(lab: Laboratory) -> float | None:
    """Seconds until everything runs, and the first messages accepted from now on are delivered; None if too long."""
    began = time.monotonic()
    lab.generator.fresh.clear()

    def well() -> bool:
        stage, fresh = lab.stage, lab.generator.fresh
        runs = all(one.ready() for one in stage.processes) and all(one.alive() for one in stage.brokers.all)
        return (
            runs
            and len(fresh) == FRESH
            and all(any(key in one.keys for one in stage.subscribers) for key in fresh)
        )

    if await until(well, _HEAL_S, 0.1):
        return round(time.monotonic() - began, 1)
    for process in lab.stage.processes:
        process.send(signal.SIGUSR1)  # what it waits for is then in its log
    return None


async def _brake(lab: Laboratory) -> None:
    """Keep the generator from running far ahead of what is delivered."""
    while True:
        delivered = sum(len(one.keys) - one.rows for one in lab.stage.subscribers)
        lab.generator.hold(lab.generator.accepted - delivered > _BEHIND)
        await asyncio.sleep(0.2)


async def _finish(sending: Sequence[asyncio.Task[None]], lab: Laboratory) -> None:
    """Until all is sent and taken in; given up when nothing happened for long though every fault is over."""
    while not await until(lambda: all(one.done() for one in sending), 5.0):
        if lab.silent_s > _HEAL_S:
            lab.notes.append("nothing is accepted and nothing taken in any more")
            lab.generator.given_up = lab.registers.given_up = True
            lab.generator.hold(False)
    for one in sending:
        one.result()


async def _drain(lab: Laboratory, quiet_s: float, say: Say) -> None:
    """Until everything arrived, or nothing did for long."""
    wanted = {
        one.name: lab.truth.expected(one.party, one.types, repeats=True).must for one in lab.stage.subscribers
    }

    def missing() -> int:
        return sum(len(wanted[one.name] - one.keys) for one in lab.stage.subscribers)

    began, told = time.monotonic(), 0.0
    while left := missing():
        now = time.monotonic()
        if now - max(lab.stage.receivers.last_taken, began) > quiet_s:
            return
        if now - told > 10:
            told = now
            say(f"all is sent; {left} deliveries to come")
        await asyncio.sleep(0.5)
    await asyncio.sleep(_LATE_S)


async def _judge(lab: Laboratory, report: Report) -> None:
    stage, truth, plan = lab.stage, lab.truth, lab.stage.plan
    report.messages, report.rows = truth.accepted, truth.rows
    report.answers = dict(truth.answers)
    report.met = {one.name: dict(one.met) for one in stage.subscribers}
    report.falls = [asdict(fall) for fall in stage.keeper.falls]
    report.broker_falls = stage.brokers.falls
    report.notes = lab.notes
    if await asyncio.to_thread(stage.brokers.left_out_a_marker):
        report.notes.append(
            "Kafka left out the marker of a transaction: what is not read behind it is its doing"
        )
    report.unknown += truth.unknown[:10]
    for name, helper in (("the proxy", stage.proxy), ("the councils' offices", stage.offices)):
        if not helper.alive():
            report.unknown.append(f"{name} ended")
    for one in stage.subscribers:
        expected = truth.expected(one.party, one.types, repeats=True)
        report.places[f"subscriber {one.name}"] = judge(expected, one.arrivals)
    report.deliveries = sum(place.effects for place in report.places.values())
    try:
        for party in INSTANCES:
            topic = topics.inbox(party)
            found = await asyncio.to_thread(
                arrivals_in, stage.servers, topic, plan.partitions, stage.loaded.registry, lab.planted
            )
            report.places[topic] = judge(truth.expected(party, repeats=False), found)
        for topic, kinds in _JUDGED.items():
            found = await asyncio.to_thread(
                arrivals_in, stage.servers, topic, plan.partitions, stage.loaded.registry, lab.planted
            )
            report.places[topic] = judge(truth.expected_of_all(kinds), found)
        dead = await asyncio.to_thread(lambda: list(letters(stage.servers, plan.partitions, lab.planted)))
        report.places["dead-letters"] = judge_letters(truth.letters, dead)
    except (KafkaException, ValueError) as error:
        report.unknown.append(f"the topics could not be read: {error}")
