"""Jobs: long work on many records. All their state is in the topic `hub.jobs`, so any gateway goes on with it.

Keys of the topic, all in its one partition:

    job/<id>         what is to be done; written once, by whoever was asked
    items/<id>/<n>   the records that it is about, in portions; taken away when the job is over
    cancel/<id>      it is to stop
    progress/<id>    how far it got; written by the runner alone, in the transaction that did the work
    mark/<id>        what became of a dead letter; as above
    runner           who runs jobs now; a beat, for the others to see
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Condition
from time import monotonic
from typing import Any, TypeVar

import msgspec
import structlog

from hub.stream import topics
from hub.stream.following import Follower
from hub.stream.records import Output

log = structlog.get_logger()

#: Items in one record of the topic.
PORTION = 500

#: Statuses of a job that is over.
OVER = frozenset({"done", "cancelled"})

T = TypeVar("T")


class Item(msgspec.Struct, frozen=True, array_like=True):
    """One record that a job is about: its id and place, and for a replay where it goes and what it is then."""

    id: str
    topic: str
    partition: int
    offset: int
    route: str = ""
    party: str = ""
    digest: str = ""


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is to be done. `rate` is in items per second, `asked_at` in epoch seconds.

    `kind` is redrive, archive or replay, `what` says for people what was chosen, `reason` why (archive).
    `plan`, `sandbox` and `sinks` are a replay's.
    """

    id: str
    kind: str
    what: str
    total: int
    rate: float
    asked_at: float
    reason: str = ""
    plan: str = ""
    sandbox: str = ""
    sinks: tuple[str, ...] = ()


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a job got. `status` is queued, running, settling, done or cancelled; times in epoch seconds.

    `next` is the index of the next item. What was passed over: `repeated` (was done before), `gone` (past
    retention), `refused` (would not be what was asked for; `note` says why). `added` counts items that the
    runner added to those asked for: what waited behind others. `gates` are the parked subjects it released.
    """

    status: str = "queued"
    next: int = 0
    sent: int = 0
    repeated: int = 0
    gone: int = 0
    refused: int = 0
    added: int = 0
    started: float = 0.0
    ended: float = 0.0
    note: str = ""
    gates: tuple[str, ...] = ()


class Mark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a dead letter: `redriven` or `archived`, when, by which job, why."""

    outcome: str
    at: float
    job: str
    reason: str = ""


class Beat(msgspec.Struct, frozen=True):
    """Who runs jobs. `term` tells one taking over from the next."""

    runner: str
    term: str


_encode = msgspec.json.Encoder().encode
_KINDS: dict[str, Any] = {
    "job": Job,
    "items": list[Item],
    "cancel": bool,
    "progress": Progress,
    "mark": Mark,
    "runner": Beat,
}


def output(kind: str, key: str, value: Any) -> Output:
    """The record of one of the kinds above; None takes it away."""
    name = f"{kind}/{key}" if key else kind
    return Output(topics.JOBS, name.encode(), None if value is None else _encode(value), [], partition=0)


def asked_for(job: Job, items: list[Item]) -> Iterator[Output]:
    """The records that ask for a job: the job itself last, since it counts from then on."""
    for number, start in enumerate(range(0, len(items), PORTION)):
        yield output("items", f"{job.id}/{number}", items[start : start + PORTION])
    yield output("job", job.id, job)


class Jobs(Follower):
    """A read model that follows `hub.jobs`; safe from any thread."""

    topic = topics.JOBS

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Any]] = {kind: {} for kind in _KINDS}
        self._beat_seen = 0.0
        self._changed = Condition()

    def change(self, key: str, value: bytes | None) -> None:
        """Take in one record of the topic."""
        kind, _, name = key.partition("/")
        if kind not in _KINDS:
            return  # of a later version
        try:
            # Portions of items stay bytes: of a job with 100,000 of them, one is needed at a time.
            found = (
                value if value is None or kind == "items" else msgspec.json.decode(value, type=_KINDS[kind])
            )
        except msgspec.MsgspecError as error:
            log.error("job-unreadable", key=key, reason=str(error))
            return
        with self._changed:
            if found is None:
                self._held[kind].pop(name, None)
            else:
                self._held[kind][name] = found
            if kind == "runner":
                self._beat_seen = monotonic()
            self._changed.notify_all()

    def wait(self, done: Any, timeout: float) -> bool:
        """Until `done()` holds, asked after every change; whether it came to hold within `timeout` seconds."""
        with self._changed:
            return bool(self._changed.wait_for(done, timeout))

    def all(self) -> list[tuple[Job, Progress]]:
        """Every job and how far it got, oldest first."""
        with self._changed:
            jobs = sorted(self._held["job"].values(), key=lambda job: (job.asked_at, job.id))
            return [(job, self.progress(job.id)) for job in jobs]

    def get(self, job_id: str) -> Job | None:
        """One by id."""
        return self._held["job"].get(job_id)

    def progress(self, job_id: str) -> Progress:
        """How far a job got."""
        found: Progress = self._held["progress"].get(job_id) or Progress()
        return found

    def active(self) -> list[Job]:
        """Jobs that are not over, oldest first."""
        return [job for job, progress in self.all() if progress.status not in OVER]

    def cancelled(self, job_id: str) -> bool:
        """Whether a job is to stop."""
        return job_id in self._held["cancel"]

    def items(self, job_id: str, start: int) -> list[Item]:
        """Items of a job from index `start` to the end of its portion; none at the end."""
        raw = self._held["items"].get(f"{job_id}/{start // PORTION}")
        found: list[Item] = [] if raw is None else msgspec.json.decode(raw, type=list[Item])
        return found[start % PORTION :]

    def mark(self, letter_id: str) -> Mark | None:
        """What became of a dead letter, if anything did."""
        return self._held["mark"].get(letter_id)

    def marked(self, outcome: str) -> list[str]:
        """The dead letters of which that became."""
        with self._changed:
            return [name for name, mark in self._held["mark"].items() if mark.outcome == outcome]

    def take_marks(self, marks: Iterable[tuple[str, Mark]]) -> None:
        """Marks that were committed, ahead of reading them."""
        with self._changed:
            self._held["mark"].update(marks)

    def runner(self) -> tuple[Beat | None, float]:
        """Who runs jobs, and how many seconds ago that was last heard."""
        with self._changed:
            return self._held["runner"].get(""), monotonic() - self._beat_seen
