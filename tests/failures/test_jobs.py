"""Background jobs: no faster than asked, stopped when asked, and gone on with where they were."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import time
from typing import Any

import pytest

from hub.config import HubConfig
from hub.stream import job_runner, topics
from hub.stream.exclusive import ExclusiveWriter
from hub.stream.following import Following
from hub.stream.job_runner import Done, JobRunner
from hub.stream.jobs import Item, Job, Jobs, Progress, asked_for, output
from hub.stream.picking import Picker
from hub.stream.reading import read_all
from hub.stream.records import Output
from hub.testing.live import LiveHub, live_hub, until

Post = Callable[..., str]


def redrive(hub: LiveHub, fingerprint: str, rate: float) -> str:
    asked = {"fingerprint": fingerprint, "rate": rate, "dry_run": False}
    return str(hub.client.post("/v1/failures/redrive", asked)["job"]["id"])


def job_of(hub: LiveHub, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = hub.client.get(f"/v1/jobs/{job_id}")
    return found


def one_kind(hub: LiveHub, post: Post, count: int) -> tuple[set[str], str]:
    """Raw records that fail alike, and their kind's fingerprint."""
    raw = {post(hub, f"JOB-{number}") for number in range(count)}
    kind = lambda: max(hub.client.get("/v1/failures")["failures"], key=lambda g: g["last_at"], default=None)  # noqa: E731
    assert until(lambda: (kind() or {}).get("count", 0) >= count)
    return raw, str(kind()["fingerprint"])


def copies(hub: LiveHub) -> Counter[str]:
    """How often each raw record is in its topic."""
    every = [m for part in range(4) for m in read_all(hub.client_kafka, "raw.govuk_pay", part)]
    return Counter(dict(m.headers() or [])["hub-id"].decode() for m in every)


def test_a_job_goes_on_where_it_was_though_the_hub_is_killed(
    tmp_path: Path, root: Path, broken: Post
) -> None:
    with live_hub(tmp_path, root) as hub:
        raw, kind = one_kind(hub, broken, 60)
        job = redrive(hub, kind, rate=20)
        assert until(lambda: job_of(hub, job)["sent"] >= 10)
        assert job_of(hub, job)["sent"] < 60
        hub.kill()
        hub.start()
        assert until(lambda: job_of(hub, job)["status"] == "done"), job_of(hub, job)
        assert job_of(hub, job)["sent"] == 60
        found = copies(hub)
        assert {found[one] for one in raw} == {2}


def test_a_job_is_no_faster_than_asked(failing: LiveHub, broken: Post) -> None:
    _, kind = one_kind(failing, broken, 20)
    job = redrive(failing, kind, rate=10)
    assert until(lambda: job_of(failing, job)["status"] == "done")
    ended = job_of(failing, job)
    assert ended["ended_at"] - ended["started_at"] >= (ended["sent"] - 3) / 10


def test_a_job_that_is_cancelled_leaves_the_rest_open(failing: LiveHub, broken: Post) -> None:
    _, kind = one_kind(failing, broken, 20)
    job = redrive(failing, kind, rate=2)
    assert until(lambda: job_of(failing, job)["sent"] >= 1)
    stopped = failing.client.post(f"/v1/jobs/{job}/cancel", {})
    assert stopped["status"] == "cancelled"
    assert stopped["sent"] < 10
    rest = failing.client.post("/v1/failures/redrive", {"fingerprint": kind})["chosen"]
    assert rest >= 10
    with pytest.raises(Exception, match="over"):
        failing.client.post(f"/v1/jobs/{job}/cancel", {})


class Copying:
    """Writes each item's id to a topic."""

    def do(self, job: Job, item: Item) -> Done:
        return Done("sent", [Output(job.plan, item.id.encode(), b"")])

    def more(self, job: Job, progress: Progress) -> tuple[list[Item], bool]:
        return [], False


@contextmanager
def runner(kafka: str) -> Iterator[Jobs]:
    def works(_: Picker) -> Mapping[str, Copying]:
        return {"replay": Copying()}

    jobs = Jobs()
    following = Following(kafka, jobs)
    assert until(lambda: jobs.known)
    running = JobRunner(kafka, jobs, works)
    running.start()
    yield jobs
    running.close()
    following.close()


@pytest.fixture
def asked(kafka: str) -> tuple[Job, str]:
    """A job of 2,000 items, asked for but not begun, and the topic that it writes to."""
    made = f"copies-{time():.0f}"
    declared = topics.declare(HubConfig(), [], [])
    topics.ensure(kafka, [*declared, topics.Topic(made, 1, 1)])
    items = [Item(str(number), "", 0, number) for number in range(2_000)]
    job = Job(id=made, kind="replay", what="", total=2_000, rate=1_000, asked_at=time(), plan=made)
    writer = ExclusiveWriter(kafka, "asking")
    writer.write(asked_for(job, items))
    return job, made


def test_runners_that_fight_for_a_job_do_each_item_once(
    kafka: str, asked: tuple[Job, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_runner, "_GONE_AFTER", 0.0)  # each takes the other for dead at once
    job, made = asked
    with runner(kafka) as jobs, runner(kafka):
        assert until(lambda: jobs.progress(job.id).status == "done", 60)
    written = [message.key().decode() for message in read_all(kafka, made, 0)]
    assert written == [str(number) for number in range(2_000)]


def test_what_a_later_version_keeps_about_jobs_is_passed_over() -> None:
    jobs = Jobs()
    jobs.change("future/1", b"{}")
    jobs.change("job/1", b"not JSON")
    made = output("progress", "2", Progress(sent=1))
    jobs.change(made.key.decode(), json.dumps({**json.loads(made.value or b""), "new": 1}).encode())
    assert jobs.all() == []
    assert jobs.progress("2").sent == 1
