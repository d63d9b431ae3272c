"""Runs jobs: at most one runner per hub, at the rate that was asked for, each step in one transaction.

A step writes what the job does, what became of each item, and how far the job got, all or none. So a job goes
on exactly where it was, whoever dies, and no dead letter is sent again twice. Who runs is settled by Kafka: the
writer's name is one for the whole hub, and the next to open it fences the one before.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic, time
from typing import Protocol

import msgspec
import structlog

from hub.events.fault import is_a_fault
from hub.journal.database import JournalError
from hub.stream.exclusive import ExclusiveWriter, KafkaError, KafkaException
from hub.stream.jobs import OVER, PORTION, Beat, Item, Job, Jobs, Mark, Progress, output
from hub.stream.picking import Picker
from hub.stream.records import Output

log = structlog.get_logger()

_NAME = "hub-jobs"

#: A runner that was not heard for so long, in seconds, is taken to be gone. Wrongly so costs nothing: it is fenced.
_GONE_AFTER = 3.0
_BEAT_EVERY = 0.5
_TURN_EVERY = 0.1

#: Seconds of one job's work in one transaction: a runner that does not beat meanwhile is taken to be gone.
_WORK_FOR = 1.0

#: How often the journal is told all that became of dead letters, seconds: made anew, it knows of some of it no more.
_TELL_EVERY = 300.0

#: Items of one job in one transaction.
_AT_ONCE = 200

#: What Kafka says of places and records that it will know and take no better later.
_NEVER = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._UNKNOWN_TOPIC,
    }
)


@dataclass(frozen=True, slots=True)
class Done:
    """What an item came to: `verdict` is sent, repeated, gone or refused, a field of `Progress`.

    `gate` is the parked subject that this releases, if it does.
    """

    verdict: str
    outputs: Sequence[Output] = ()
    marks: Sequence[tuple[str, Mark]] = ()
    note: str = ""
    gate: str = ""


class Work(Protocol):
    """What a kind of job does."""

    def do(self, job: Job, item: Item) -> Done:
        """One item. Called again for the same item when its transaction failed; writes nothing itself."""

    def more(self, job: Job, progress: Progress) -> tuple[list[Item], str | None]:
        """Called when all items are done: further ones that these led to, or, where there are none, what is still to
        be said of the job, None to be asked again later."""


@dataclass(slots=True)
class _Turn:
    """What is written in one transaction."""

    outputs: list[Output] = field(default_factory=list)
    marks: list[tuple[str, Mark]] = field(default_factory=list)


@dataclass(slots=True)
class _Term:
    """What the runner knows while it is the one: nobody else changes it."""

    writer: ExclusiveWriter
    name: str
    progress: dict[str, Progress] = field(default_factory=dict)
    allowed: dict[str, float] = field(default_factory=dict)  # items that a job may still do by now
    turned: float = field(default_factory=monotonic)
    beaten: float = 0.0


class JobRunner:
    """Runs jobs on a thread of its own whenever there are any and nobody else does.

    `works` makes what each kind of job does, over a reader that only the thread uses; `on_marks` hears what
    became of dead letters, once it is committed: outcome and ids.
    """

    def __init__(
        self,
        servers: str,
        jobs: Jobs,
        works: Callable[[Picker], Mapping[str, Work]],
        on_marks: Callable[[str, Sequence[str]], None] = lambda _outcome, _ids: None,
    ) -> None:
        self._servers = servers
        self._jobs = jobs
        self._picker = Picker(servers)
        self._works = works(self._picker)
        self._on_marks = on_marks
        self._name = secrets.token_hex(6)
        self._term: _Term | None = None
        self._stopping = Event()
        self._thread = Thread(target=self._run, name="jobs", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def broken(self) -> list[str]:
        """The thread, if it has ended: then no job goes on any more."""
        return [] if self._thread.ident is None or self._thread.is_alive() else [self._thread.name]

    def close(self) -> None:
        """Stop after the present step; whoever runs jobs next goes on there."""
        self._stopping.set()
        if self._thread.ident is not None:  # or it was never started
            self._thread.join(15)

    def _run(self) -> None:
        tell_at = 0.0
        while not self._stopping.is_set():
            if monotonic() >= tell_at:
                self._tell_all_marks()
                tell_at = monotonic() + _TELL_EVERY
            try:
                if not self._jobs.active():
                    self._release()
                    self._jobs.wait(lambda: self._stopping.is_set() or bool(self._jobs.active()), 0.5)
                    continue
                if self._term is None:
                    self._take_over()
                if self._term is not None:
                    self._turn(self._term)
            except KafkaException as error:
                # Fenced, or an unknown outcome: opening anew settles it, and says where the jobs are.
                log.warning("jobs-begun-anew", error=error.args[0].name())
                self._release()
                self._stopping.wait(1)
            except Exception:
                # A bug in one kind of job must end neither the others nor the thread silently.
                log.exception("jobs-failed")
                self._release()
                self._stopping.wait(5)
            self._stopping.wait(_TURN_EVERY)
        self._release()

    def _release(self) -> None:
        if self._term is not None:
            self._term.writer.close()
            self._term = None
            self._picker.close()

    def _take_over(self) -> None:
        beat, heard = self._jobs.runner()
        if beat is not None and beat.runner != self._name and heard < _GONE_AFTER:
            return
        writer = ExclusiveWriter(self._servers, _NAME)
        term = secrets.token_hex(6)
        writer.write([output("runner", "", Beat(self._name, term))])
        # Once our view shows this, it shows all that whoever ran before us committed.
        if self._jobs.wait(lambda: self._jobs.runner()[0] == Beat(self._name, term), 10):
            self._term = _Term(writer, term)
        else:
            writer.close()

    def _turn(self, term: _Term) -> None:
        now = monotonic()
        passed, term.turned = now - term.turned, now
        turn = _Turn()
        moved: dict[str, Progress] = {}
        for job in self._jobs.active():
            before = term.progress.get(job.id) or self._jobs.progress(job.id)
            if before.status in OVER:
                continue  # our view is a moment behind
            after = self._step(term.writer, turn, job, before, self._allowance(term, job, passed))
            if after != before:
                moved[job.id] = after
                turn.outputs.append(output("progress", job.id, after))
        if turn.outputs or now - term.beaten >= _BEAT_EVERY:
            term.beaten = now
            term.writer.write([*turn.outputs, output("runner", "", Beat(self._name, term.name))])
            term.progress.update(moved)
            self._jobs.take_marks(turn.marks)
            for outcome in {mark.outcome for _, mark in turn.marks}:
                self._tell(outcome, [name for name, mark in turn.marks if mark.outcome == outcome])

    def _allowance(self, term: _Term, job: Job, passed: float) -> int:
        """How many items the job may do now. What it did not use in a quarter of a second is lost to it."""
        most = max(1.0, job.rate / 4)
        allowed = term.allowed.get(job.id, 1.0) + passed * job.rate
        whole = min(int(min(allowed, most)), _AT_ONCE)
        term.allowed[job.id] = min(allowed, most) - whole
        return whole

    def _step(
        self, writer: ExclusiveWriter, turn: _Turn, job: Job, before: Progress, allowed: int
    ) -> Progress:
        """Do up to `allowed` items; adds to `turn`, and says how far the job is then."""
        progress = before
        if progress.status == "queued":
            progress = msgspec.structs.replace(progress, status="running", started=time())
        if self._jobs.cancelled(job.id):
            return self._end(job, progress, "cancelled", turn.outputs)
        items = self._next_items(job, progress)
        if not items:
            items, left = self._more(job, progress)
            if not items and left is not None:
                progress = msgspec.structs.replace(progress, note=left or progress.note)
                return self._end(job, progress, "done", turn.outputs)
            if progress.status != "settling":
                progress = msgspec.structs.replace(progress, status="settling")
        seen, until = {name for name, _ in turn.marks}, monotonic() + _WORK_FOR
        for item in items[:allowed]:
            done = self._done(writer, job, item)
            if any(name in seen for name, _ in done.marks):
                break  # of the same dead letter, or of a copy of it: a repeat, once that is committed
            seen.update(name for name, _ in done.marks)
            turn.outputs += done.outputs
            turn.marks += done.marks
            progress = _counted(progress, done)
            if done.verdict == "refused" and progress.status == "settling":
                return self._end(job, progress, "done", turn.outputs)  # `more` would find it again for ever
            if monotonic() > until:
                break
        return progress

    def _done(self, writer: ExclusiveWriter, job: Job, item: Item) -> Done:
        """What an item comes to. One that fails every time is refused: all jobs would wait for it otherwise."""
        try:
            done = self._works[job.kind].do(job, item)
            for one in done.outputs:
                writer.check(one)
        except KafkaException as error:
            if error.args[0].code() not in _NEVER:
                raise
            kind = error.args[0].name()
        except BaseException as error:
            if not is_a_fault(error):
                raise
            kind = type(error).__name__
        else:
            return done
        # The kind alone: what an error says may be anyone's data.
        log.error("job-item-refused", job=job.id, item=item.id, error=kind)
        return Done("refused", note=f"some could not be done: {kind}")

    def _more(self, job: Job, progress: Progress) -> tuple[list[Item], str | None]:
        """As the job's work says; asked again later where it fails, while the journal is locked for one."""
        try:
            return self._works[job.kind].more(job, progress)
        except BaseException as error:
            if isinstance(error, KafkaException) or not is_a_fault(error):
                raise
            log.warning("job-settles-later", job=job.id, error=type(error).__name__)
            return [], None

    def _next_items(self, job: Job, progress: Progress) -> list[Item]:
        return self._jobs.items(job.id, progress.next) if progress.next < job.total else []

    def _end(self, job: Job, progress: Progress, status: str, outputs: list[Output]) -> Progress:
        portions = range(0, job.total, PORTION)
        outputs += [output("items", f"{job.id}/{number}", None) for number in range(len(portions))]
        return msgspec.structs.replace(progress, status=status, ended=time(), gates=())

    def _tell_all_marks(self) -> None:
        """The journal may have been made anew from less than we know: its topic is kept for a shorter time."""
        for outcome in ("redriven", "archived"):
            self._tell(outcome, self._jobs.marked(outcome))

    def _tell(self, outcome: str, ids: Sequence[str]) -> None:
        try:
            self._on_marks(outcome, ids)
        except JournalError as error:
            log.warning("marks-not-shown-yet", reason=str(error))  # the journal's own stage will show them


_MOST_GATES = 1_000


def _counted(progress: Progress, done: Done) -> Progress:
    changed: dict[str, object] = {done.verdict: getattr(progress, done.verdict) + 1}
    changed["added" if progress.status == "settling" else "next"] = (
        progress.added if progress.status == "settling" else progress.next
    ) + 1
    if done.note:
        changed["note"] = done.note
    if done.gate and done.gate not in progress.gates:
        if len(progress.gates) < _MOST_GATES:
            changed["gates"] = (*progress.gates, done.gate)
        else:
            changed["note"] = (
                f"what comes to wait behind more than {_MOST_GATES:,} subjects is not sent: redrive again"
            )
    return msgspec.structs.replace(progress, **changed)
