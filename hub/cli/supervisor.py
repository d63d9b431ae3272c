"""Keeps the children of `hub up` running: restarts what ends or freezes, and replaces one by one when asked to."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Literal

import msgspec
import structlog

from hub.cli.child import Child, stop_all
from hub.gateway.health import PROCESSES, Process

log = structlog.get_logger()

ROLLOUT = "restart.json"
"""How far the last rolling restart got, in the data directory."""

STOP_S = 7.5
"""Seconds that children get to stop."""

#: A child that ends is started again after this many seconds, doubled at each fall up to the second.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
#: A child that lived this long, in seconds, is taken as healthy again.
_HEALTHY_AFTER = 30.0
_TURN_S = 0.1
#: What the system says when it has no memory, process or thread to spare. It passes, and must not end the others.
_SHORT = (OSError, RuntimeError)
_READY_WITHIN_S = 60.0
_JUDGED_WITHIN_S = 120.0


class Rollout(msgspec.Struct, kw_only=True):
    """A rolling restart. `told` is for a person."""

    number: int
    state: Literal["checking", "running", "done", "refused", "failed"] = "checking"
    told: str = ""


@dataclass(slots=True)
class Slot:
    """A place that one child fills. `make` makes the next one, under a name that is free while this one lives."""

    name: str
    make: Callable[[int], Child]
    child: Child = field(init=False)
    started_at: float = 0.0
    restarts: int = 0
    ended: str = ""
    due: float | None = None
    pause: float = _FIRST_PAUSE
    _taken_over: int = 0

    def __post_init__(self) -> None:
        self.child = self.make(0)

    def start(self, kafka: str, now: float) -> None:
        """Start its child."""
        self.started_at, self.due = now, None
        self.child.start(kafka)

    def successor(self) -> Child:
        """The child that is to take over. One that failed to has left its name free: the next has it."""
        return self.make(self._taken_over + 1)

    def take(self, fresh: Child, started_at: float) -> Child:
        """The successor is its child from now on; the one before."""
        old, self.child = self.child, fresh
        self._taken_over += 1
        self.started_at, self.due, self.pause = started_at, None, _FIRST_PAUSE
        return old

    def tend(self, kafka: str, frozen_s: float, now: float) -> None:
        """Start again what has ended, after a pause; end what is frozen."""
        if self.child.runs:
            heard = self.child.heard
            silent, limit = now - (heard or self.started_at), frozen_s if heard else _READY_WITHIN_S
            if silent > limit:
                log.error("child-frozen", child=self.name, seconds=round(silent))
                self.child.kill()
            return
        if self.due is None:
            self.ended = _told(self.child.status)
            if now - self.started_at > _HEALTHY_AFTER:
                self.pause = _FIRST_PAUSE
            self.due = now + self.pause
            log.error("child-restarts", child=self.name, ended=self.ended, seconds=self.pause)
        elif now >= self.due:
            self.pause = min(self.pause * 2, _LONGEST_PAUSE)
            self.restarts += 1
            try:
                self.start(kafka, now)
            except _SHORT as error:  # the next turn finds that it does not run
                log.error("child-not-started", child=self.name, error=str(error))

    def state(self) -> Process:
        """For others to see."""
        state = "waiting" if self.due is not None else "running" if self.child.ready.is_set() else "starting"
        return Process(
            name=self.name, state=state, pid=self.child.pid, restarts=self.restarts, ended=self.ended
        )


class Supervisor:
    """Keeps its slots filled until told to stop. One thread runs it; `stop` and `restart` are for signal handlers.

    `prepare` is the command that judges the configuration and readies Kafka for it, before anything is replaced;
    a child that was not heard for `frozen_s` seconds is taken to be frozen.
    """

    def __init__(
        self, slots: Sequence[Slot], data_dir: Path, prepare: Callable[[str], list[str]], frozen_s: float
    ) -> None:
        self._slots = slots
        self._data_dir = data_dir
        self._prepare = prepare
        self._frozen_s = frozen_s
        # Not an Event each: a signal handler would wait for the lock that the wait which it interrupts may hold.
        self._stopping = False
        self._restarting = False
        self._kafka = ""
        self._rollout: Rollout | None = None
        self._written: dict[str, bytes] = {}
        self._rolling: Generator[None, None, None] | None = None
        self._spare: Child | None = None
        self._full = False

    def start(self) -> None:
        """Start all; they load while Kafka does."""
        (self._data_dir / ROLLOUT).unlink(missing_ok=True)
        for slot in self._slots:
            slot.start("", monotonic())

    def go(self, kafka: str, timeout: float, at_each_turn: Callable[[], None]) -> None:
        """Tell all where Kafka is, and wait until each is ready. `at_each_turn` may raise to give up.

        Raises TimeoutError, or ChildProcessError for one that ended.
        """
        self._kafka = kafka
        for slot in self._slots:
            slot.child.go(kafka)
        deadline = monotonic() + timeout
        for child in [slot.child for slot in self._slots]:
            while not child.ready.wait(0.05):
                at_each_turn()
                if not child.runs:
                    raise ChildProcessError(f"the {child.name} ended at once: {child.last_words()}")
                if monotonic() > deadline:
                    raise TimeoutError(f"the {child.name} was not ready in time: {child.last_words()}")
        self._tell()

    def watch(self, at_each_turn: Callable[[], None]) -> None:
        """Tend to the children until `stop`. `at_each_turn` may raise to give up."""
        turned = monotonic()
        while not self._stopping:
            at_each_turn()
            now = monotonic()
            if now - turned > 2:  # it was we who did not hear: the machine slept, or we were frozen
                for slot in self._slots:
                    slot.child.heard = slot.child.heard and now
            turned = now
            for slot in self._slots:
                slot.tend(self._kafka, self._frozen_s, now)
            if self._rolling is None and self._restarting:
                self._restarting = False
                self._rolling = self._roll()
            if self._rolling is not None and next(self._rolling, self) is self:
                self._rolling = None
            self._tell()
            sleep(_TURN_S)

    def stop(self) -> None:
        """Ask `watch` to return."""
        self._stopping = True

    def restart(self) -> None:
        """Ask `watch` to replace all children, one by one."""
        self._restarting = True

    def close(self) -> None:
        """Stop every child."""
        if self._rolling:
            self._rolling.close()
        spare = [self._spare] if self._spare else []
        stop_all([*(slot.child for slot in self._slots), *spare], STOP_S)
        (self._data_dir / PROCESSES).unlink(missing_ok=True)

    def _roll(self) -> Generator[None, None, None]:
        """The rolling restart, a step at each turn."""
        before = self._rollout or last_rollout(self._data_dir)  # of the hub that was here before, too
        rollout = self._rollout = Rollout(number=before.number + 1)
        try:
            yield from self._judged(rollout)
            if rollout.state == "running":
                for slot in self._slots:
                    yield from self._replace(slot, rollout)
                rollout.state, rollout.told = "done", f"{len(self._slots)} processes replaced"
        except _SHORT as error:
            rollout.state, rollout.told = "failed", str(error)
            if self._spare:
                self._spare.kill()
                self._spare = None
        log.info("rolling-restart", state=rollout.state)

    def _judged(self, rollout: Rollout) -> Iterator[None]:
        told = self._data_dir / "logs" / "prepare.log"
        command = [sys.executable, "-m", "hub", *self._prepare(self._kafka)]
        with told.open("wb") as file:
            judge = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        until = monotonic() + _JUDGED_WITHIN_S
        try:
            while judge.poll() is None:
                if monotonic() > until:
                    raise TimeoutError(f"the configuration was not judged in time (see {told})")
                yield
        finally:
            judge.kill()
            judge.wait()
        rollout.state = "refused" if judge.returncode else "running"
        rollout.told = told.read_text(errors="replace").strip()

    def _replace(self, slot: Slot, rollout: Rollout) -> Iterator[None]:
        """Start the next one, wait until it works, and only then stop the one that is there."""
        rollout.told = f"replacing {slot.name}"
        fresh = self._spare = slot.successor()
        started = monotonic()
        fresh.start(self._kafka)
        while not fresh.ready.is_set():
            if not fresh.runs or monotonic() - started > _READY_WITHIN_S:
                fresh.kill()
                raise ChildProcessError(f"the new {slot.name} does not work: {fresh.last_words()}")
            yield
        old = self._spare = slot.take(fresh, started)
        old.ask_to_stop()
        until = monotonic() + STOP_S
        while old.runs and monotonic() < until:
            yield
        old.kill()
        self._spare = None

    def _tell(self) -> None:
        """Write what has changed for others to see; again at the next turn where the disk is full."""
        now = {PROCESSES: msgspec.json.encode([slot.state() for slot in self._slots])}
        if self._rollout:
            now[ROLLOUT] = msgspec.json.encode(self._rollout)
        for name, text in now.items():
            if text != self._written.get(name):
                self._write(name, text)

    def _write(self, name: str, text: bytes) -> None:
        path = self._data_dir / name
        part = path.with_suffix(".part")
        try:
            part.write_bytes(text)
            part.replace(path)
        except OSError as error:
            if not self._full:
                log.error("not-written", file=name, error=error.strerror)
            self._full = True
        else:
            self._written[name] = text
            self._full = False


def last_rollout(data_dir: Path) -> Rollout:
    """The last rolling restart of the hub on a data directory; number 0 if there was none."""
    try:
        return msgspec.json.decode((data_dir / ROLLOUT).read_bytes(), type=Rollout)
    except (OSError, msgspec.MsgspecError):
        return Rollout(number=0, state="done")


def _told(status: int | None) -> str:
    return f"signal {-status}" if status is not None and status < 0 else f"status {status}"
