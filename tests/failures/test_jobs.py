"""What runs background jobs: each item once though two fight for it, and one that fails costs no other anything."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from time import monotonic, time

import pytest
from polars.exceptions import PanicException

from hub.config import HubConfig
from hub.journal.database import JournalError
from hub.stream import job_runner, topics
from hub.stream.exclusive import ExclusiveWriter
from hub.stream.following import Following
from hub.stream.job_runner import Done, JobRunner, Work
from hub.stream.jobs import Beat, Item, Job, Jobs, Mark, Progress, asked_for, output
from hub.stream.picking import Picker
from hub.stream.reading import read_all
from hub.stream.records import MAX_BYTES, Output
from hub.testing.live import until


class Copying:
    """Writes each item's id to a topic."""

    def do(self, job: Job, item: Item) -> Done:
        return Done("sent", [Output(job.plan, item.id.encode(), b"")])

    def more(self, job: Job, progress: Progress) -> tuple[list[Item], str | None]:
        return [], ""


class Paired(Copying):
    """Items 1 and 2, 3 and 4, and so on are about the same dead letter, as an edited copy and its original are."""

    def __init__(self, jobs: Jobs) -> None:
        self.jobs = jobs

    def do(self, job: Job, item: Item) -> Done:
        both = f"{job.id}-{(int(item.id) + 1) // 2}"
        if self.jobs.mark(both):
            return Done("repeated")
        mark = Mark(outcome="redriven", at=time(), job=job.id)
        sent = super().do(job, item)
        return Done("sent", [*sent.outputs, output("mark", both, mark)], [(both, mark)])


class Stumbling(Copying):
    """Some items fail each time; what is next cannot be found while the journal is locked."""

    def __init__(self, picker: Picker) -> None:
        self.picker = picker
        self.locked = True

    def do(self, job: Job, item: Item) -> Done:
        match item.id:
            case "1":
                raise LookupError("somebody's name")
            case "2":
                return Done("sent", [Output(job.plan, b"2", bytes(MAX_BYTES))])
            case "3":
                return Done("sent", [Output("no-such-topic", b"3", b"")])
            case "4":
                raise PanicException("somebody's name")
            case "5":
                self.picker.pick(job.plan, 99, 0)
        return super().do(job, item)

    def more(self, job: Job, progress: Progress) -> tuple[list[Item], str | None]:
        if self.locked:
            raise JournalError("the journal is locked")
        return [], ""


@contextmanager
def runner(kafka: str, work: Callable[[Picker], Work] = lambda _: Copying()) -> Iterator[Jobs]:
    def works(picker: Picker) -> Mapping[str, Work]:
        return {"archive": Copying(), "replay": work(picker), "redrive": Paired(jobs)}

    jobs = Jobs()
    following = Following(kafka, jobs)
    assert until(lambda: jobs.known)
    running = JobRunner(kafka, jobs, works)
    running.start()
    try:
        yield jobs
        assert running.broken == []
    finally:
        running.close()
        following.close()


@pytest.fixture
def asked(kafka: str) -> tuple[Job, str]:
    """A job of 2,000 items, asked for but not begun, and the topic that it writes to."""
    job = ask(kafka, "replay", 2_000)
    return job, job.plan


def ask(kafka: str, kind: str, total: int) -> Job:
    """Ask for a job of that many items, which writes to a topic of its own."""
    made = f"copies-{uuid.uuid4().hex}"
    declared = topics.declare(HubConfig(), [], [])
    topics.ensure(kafka, [*declared, topics.Topic(made, 1, 1)])
    items = [Item(str(number), "", 0, number) for number in range(total)]
    job = Job(id=made, kind=kind, what="", total=total, rate=1_000, asked_at=time(), plan=made)
    ExclusiveWriter(kafka, "asking").write(asked_for(job, items))
    return job


def test_runners_that_fight_for_a_job_do_each_item_once(
    kafka: str, asked: tuple[Job, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "_GONE_AFTER", 0.0)  # each takes the other for dead at once
    job, made = asked
    with runner(kafka) as jobs, runner(kafka):
        assert until(lambda: jobs.progress(job.id).status == "done", 60)
    written = [message.key().decode() for message in read_all(kafka, made, 0)]
    assert written == [str(number) for number in range(2_000)]


def test_an_item_that_fails_each_time_is_refused_and_costs_no_other_anything(kafka: str) -> None:
    made: list[Stumbling] = []

    def work(picker: Picker) -> Stumbling:
        made.append(Stumbling(picker))
        return made[0]

    job, other = ask(kafka, "replay", 8), ask(kafka, "archive", 8)
    with runner(kafka, work) as jobs:
        assert until(lambda: jobs.progress(other.id).status == "done", 30)
        assert until(lambda: jobs.progress(job.id).status == "settling", 30)  # while the journal is locked
        made[0].locked = False
        assert until(lambda: jobs.progress(job.id).status == "done")
        ended = jobs.progress(job.id)
    assert (ended.sent, ended.refused) == (3, 5)
    assert ended.note == "some could not be done: _UNKNOWN_PARTITION"
    assert [message.key() for message in read_all(kafka, job.plan, 0)] == [b"0", b"6", b"7"]


def test_of_an_original_and_its_copy_one_is_sent_though_both_would_be_in_one_transaction(kafka: str) -> None:
    job, other = ask(kafka, "redrive", 40), ask(kafka, "archive", 4)
    with runner(kafka) as jobs:
        assert until(lambda: jobs.progress(job.id).status == "done", 60)
        assert until(lambda: jobs.progress(other.id).status == "done", 30)
        ended = jobs.progress(job.id)
    assert (ended.sent, ended.repeated) == (21, 19)
    sent = [(int(message.key()) + 1) // 2 for message in read_all(kafka, job.plan, 0)]
    assert sent == list(range(21))


def test_a_job_whose_items_take_long_is_not_taken_for_gone(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(Copying):
        def do(self, job: Job, item: Item) -> Done:
            now.at += 0.5
            return super().do(job, item)

    beats: list[float] = []

    class Clock:
        at = 0.0

        def __call__(self) -> float:
            return self.at + monotonic()

    now = Clock()
    monkeypatch.setattr(job_runner, "monotonic", now)
    monkeypatch.setattr(job_runner, "Beat", lambda *told: (beats.append(now()), Beat(*told))[1])
    job = ask(kafka, "replay", 60)
    with runner(kafka, lambda _: Slow()) as jobs:
        assert until(lambda: jobs.progress(job.id).status == "done", 30)
    assert jobs.progress(job.id).sent == 60
    apart = [after - before for before, after in pairwise(beats)]
    assert max(apart) < job_runner._GONE_AFTER


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_runner_whose_thread_ended_says_so(kafka: str) -> None:
    def ends(_outcome: str, _ids: object) -> None:
        raise SystemExit

    running = JobRunner(kafka, Jobs(), lambda _: {}, ends)
    assert running.broken == []
    running.start()
    assert until(lambda: running.broken == ["jobs"])


def test_what_a_later_version_keeps_about_jobs_is_passed_over() -> None:
    jobs = Jobs()
    jobs.change("future/1", b"{}")
    jobs.change("job/1", b"not JSON")
    made = output("progress", "2", Progress(sent=1))
    jobs.change(made.key.decode(), json.dumps({**json.loads(made.value or b""), "new": 1}).encode())
    assert jobs.all() == []
    assert jobs.progress("2").sent == 1
