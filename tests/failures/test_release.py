"""Redriving the first of a parked subject releases those behind it, with a real Kafka, journal and runner."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import time

import pytest
from sqlalchemy import event

from hub.config import HubConfig
from hub.delivery.dead_letter import DeadLetter
from hub.journal.queries import Queries
from hub.journal.store import Journal
from hub.stream import topics
from hub.stream.exclusive import ExclusiveWriter
from hub.stream.following import Following
from hub.stream.job_runner import JobRunner, Work
from hub.stream.jobs import Job, Jobs, asked_for
from hub.stream.parked import Parked, read_gates, waits_for
from hub.stream.picking import Picker
from hub.stream.reading import read_all
from hub.stream.records import Batch, Fence, Output
from hub.stream.redrive import Redriving, item_of
from hub.stream.waiting import with_those_behind
from hub.testing.live import until
from tests.failures.test_parked import ROUTE, TOPIC, One, Stage


class World:
    """A stage over a topic of its own, its dead letters in a journal: by turns, as a worker would."""

    def __init__(self, kafka: str, path: Path) -> None:
        self.kafka = kafka
        self.stage = Stage()
        self.journal = Journal.open(path)
        self.queries = Queries(path)
        self.writer = ExclusiveWriter(kafka, f"stage-{uuid.uuid4().hex}")
        self.feeding = ExclusiveWriter(kafka, f"feed-{uuid.uuid4().hex}")
        self.parked = Parked(kafka, {ROUTE})
        self.fence = Fence("g", 1, "m")
        self.read = self._count(TOPIC)
        self.told = {part: self._count(topics.DEAD_LETTERS, part) for part in range(4)}
        self.over = Event()

    def send(self, subject: bytes, *values: bytes) -> None:
        self.feeding.write([Output(TOPIC, subject, value, [], 0) for value in values])

    def turn(self) -> None:
        """What is new in the topic goes through the stage, what is new in the dead letters into the journal."""
        found = [
            One(m.key(), m.value(), m.headers() or [], m.offset()) for m in read_all(self.kafka, TOPIC, 0)
        ][self.read :]
        if found:
            self.read += len(found)
            outputs = self.stage.take(found, self.parked.of(Batch(TOPIC, 0, found, self.fence)))
            if outputs:
                self.writer.write(outputs)
        for part, before in self.told.items():
            messages = list(read_all(self.kafka, topics.DEAD_LETTERS, part))
            self.told[part] = len(messages)
            self.journal.apply_dead_letters(
                (DeadLetter.from_headers(m.headers()), (m.topic(), part, m.offset()))
                for m in messages[before:]
            )

    def run(self) -> None:
        while not self.over.is_set():
            self.turn()

    def _count(self, topic: str, part: int = 0) -> int:
        return sum(1 for _ in read_all(self.kafka, topic, part))


@pytest.fixture
def world(kafka: str, tmp_path: Path) -> Iterator[World]:
    topics.ensure(kafka, [*topics.declare(HubConfig(), [], []), topics.Topic(TOPIC, 4, 1)])
    made = World(kafka, tmp_path / "journal.db")
    yield made
    made.queries.close()
    made.journal.close()


@contextmanager
def running(world: World) -> Iterator[Jobs]:
    jobs = Jobs()
    following = Following(world.kafka, jobs)
    assert until(lambda: jobs.known)

    def works(picker: Picker) -> dict[str, Work]:
        return {
            "redrive": Redriving(
                world.kafka,
                picker,
                jobs,
                lambda reasons: world.queries.open_failures(reasons=reasons),
                lambda _: "",
            )
        }

    runner = JobRunner(world.kafka, jobs, works, world.queries.settle)
    stage = Thread(target=world.run, daemon=True)
    stage.start()
    runner.start()
    try:
        yield jobs
    finally:
        world.over.set()
        runner.close()
        stage.join()
        following.close()


def redrive(world: World, jobs: Jobs, *letters: str) -> str:
    items = [item_of(one) for one in world.queries.open_failures(letters)]
    job = Job(id=uuid.uuid4().hex, kind="redrive", what="", total=len(items), rate=50, asked_at=time())
    world.feeding.write(asked_for(job, items))
    assert until(lambda: jobs.progress(job.id).status == "done")
    return job.id


def test_redriving_the_first_sends_those_behind_it_in_order_and_what_came_meanwhile(world: World) -> None:
    subject = uuid.uuid4().hex.encode()
    world.stage.ill = {b"1"}
    world.send(subject, b"1", b"2", b"3")
    with running(world) as jobs:
        assert until(lambda: len(world.queries.open_failures()) == 3)
        first = next(one for one in world.queries.open_failures() if one.reason == "ill")
        assert [one.event_id for one in with_those_behind(world.queries, [first])] == ["1", "2", "3"]
        world.stage.ill.clear()
        world.send(subject, b"4")
        job = redrive(world, jobs, first.id)
        assert until(lambda: len(world.stage.order()[subject]) == 4)
        assert world.stage.order()[subject] == [b"1", b"2", b"3", b"4"]
        assert jobs.progress(job).added == 3
        assert not [key for key in read_gates(world.kafka, 0) if key[2] == subject.decode()]
        assert world.queries.open_failures() == []


def test_what_fails_again_is_not_sent_for_ever(world: World) -> None:
    subject = uuid.uuid4().hex.encode()
    world.stage.ill = {b"1"}
    world.send(subject, b"1", b"2")
    with running(world) as jobs:
        assert until(lambda: len(world.queries.open_failures()) == 2)
        first = next(one for one in world.queries.open_failures() if one.reason == "ill")
        job = redrive(world, jobs, first.id)
        assert (jobs.progress(job).sent, jobs.progress(job).added) == (1, 0)
        assert (
            jobs.progress(job).note == "parked subjects that wait on: 1; mend what failed again, and redrive"
        )
        left = world.queries.open_failures()
        assert {one.event_id for one in left} == {"1", "2"}
        # The one that failed again is found from the one that waits, though it has another id by now.
        waiting = next(one for one in left if one.event_id == "2")
        assert {one.event_id for one in with_those_behind(world.queries, [waiting])} == {"1", "2"}


def test_what_goes_with_one_is_found_by_as_few_questions_however_many_subjects_are_parked(
    tmp_path: Path,
) -> None:
    few, many = (questions(tmp_path / f"{parked}.db", parked) for parked in (2, 200))
    assert few == many


def questions(path: Path, parked: int) -> int:
    """How many the journal is asked, of so many subjects that are parked, to find what goes with the first of one."""
    about = {"stage": "route", "reason_class": "mapping", "at": 0.0, "topic": TOPIC, "partition": 0}
    letters: list[DeadLetter] = []
    for number in range(parked):
        first = DeadLetter(reason="ill", offset=number, event_id=f"first-{number}", route=ROUTE, **about)  # type: ignore[arg-type]
        told = {**about, "reason": waits_for(first.id), "event_id": f"behind-{number}", "route": ROUTE}
        letters += [first, DeadLetter(offset=parked + number, **told)]  # type: ignore[arg-type]
    Journal.open(path).apply_dead_letters((one, (topics.DEAD_LETTERS, 0, one.offset)) for one in letters)
    queries, asked = Queries(path), list[object]()
    (chosen,) = queries.open_failures([letters[0].id])
    event.listen(queries._database.engine, "before_cursor_execute", lambda *told: asked.append(told))
    assert [one.event_id for one in with_those_behind(queries, [chosen])] == ["first-0", "behind-0"]
    return len(asked)
