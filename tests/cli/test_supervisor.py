"""The supervisor goes on, whatever its children come to: they are stood in for here, and need no process."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from hub.cli import supervisor
from hub.cli.child import Child
from hub.cli.supervisor import ROLLOUT, Rollout, Slot, Supervisor, last_rollout
from hub.gateway.health import PROCESSES
from hub.testing.live import until


class Puppet(Child):
    """A child without a process, which works as soon as it is started, unless it is told to end at once.

    `short` is how many times the system is to have no memory for it.
    """

    def __init__(self, name: str, log_path: Path, *, ends: bool = False, short: int = 0) -> None:
        super().__init__(name, [], log_path)
        self.ends = ends
        self.short = short
        self._runs = False

    @property
    def runs(self) -> bool:
        return self._runs

    def start(self, kafka: str = "") -> None:
        if self.short:
            self.short -= 1
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        self._runs = not self.ends
        if self._runs:
            self.ready.set()

    def go(self, kafka: str) -> None:
        pass

    def ask_to_stop(self) -> None:
        self._runs = False

    def kill(self) -> None:
        self._runs = False


class World:
    """One slot, whose children are called `a` and `b` in turn."""

    def __init__(self, folder: Path) -> None:
        (folder / "logs").mkdir()
        self.folder = folder
        self.log = folder / "logs" / "child.log"
        self.log.touch()
        self.broken = False
        self.short = 0
        self.made: list[Puppet] = []
        self.slot = Slot("worker", self.make)
        self.supervisor = Supervisor([self.slot], folder, lambda _: ["--help"], 10)

    def make(self, number: int) -> Child:
        puppet = Puppet("ab"[number % 2], self.log, ends=self.broken, short=self.short)
        self.made.append(puppet)
        return puppet

    def restart(self) -> Rollout:
        before = last_rollout(self.folder).number
        self.supervisor.restart()
        assert until(lambda: last_rollout(self.folder).number > before)
        assert until(lambda: last_rollout(self.folder).state not in ("checking", "running"))
        return last_rollout(self.folder)

    @contextmanager
    def watched(self) -> Iterator[Thread]:
        self.supervisor.start()
        self.supervisor.go("kafka", 1, lambda: None)
        thread = Thread(target=self.supervisor.watch, args=(lambda: None,))
        thread.start()
        try:
            yield thread
        finally:
            self.supervisor.stop()
            thread.join()
            self.supervisor.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_successor_never_has_the_name_of_the_one_that_lives(world: World) -> None:
    with world.watched():
        world.broken = True
        assert world.restart().state == "failed"
        world.broken = False
        assert world.restart().state == "done"
        assert [one.name for one in world.made] == ["a", "b", "b"]
        assert world.restart().state == "done"
        assert world.made[-1].name == "a"
        assert [one for one in world.made if one.runs] == [world.slot.child]


def test_one_that_the_system_has_no_memory_for_is_started_later(world: World) -> None:
    with world.watched():
        (child,) = world.made
        child.short = 1
        child.kill()
        assert until(lambda: child.runs)
        assert (child.short, world.slot.restarts) == (0, 2)


def test_a_restart_that_the_system_has_no_memory_for_has_failed_and_the_old_one_goes_on(world: World) -> None:
    with world.watched() as watching:
        world.short = 1
        failed = world.restart()
        assert (failed.state, "Cannot allocate memory" in failed.told) == ("failed", True)
        assert watching.is_alive()
        assert [one.name for one in world.made if one.runs] == ["a"]


def test_what_judges_the_configuration_ends_with_the_hub(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    judges = slow_judges(monkeypatch)
    with world.watched():
        world.supervisor.restart()
        assert until(lambda: len(judges) == 1)
    assert judges[0].poll() is not None


def test_a_restart_whose_configuration_is_not_judged_in_time_has_failed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    judges = slow_judges(monkeypatch)
    monkeypatch.setattr(supervisor, "_JUDGED_WITHIN_S", 0.2)
    with world.watched() as watching:
        failed = world.restart()
        assert (failed.state, "was not judged in time" in failed.told) == ("failed", True)
        assert judges[0].poll() is not None
        assert watching.is_alive()


def slow_judges(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """Those that are started from now on, which never come to an end."""
    judges: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def started(_: list[str], **more: Any) -> subprocess.Popen[bytes]:
        judges.append(start(["sleep", "600"], **more))
        return judges[-1]

    monkeypatch.setattr(subprocess, "Popen", started)
    return judges


def test_a_disk_that_takes_nothing_ends_nothing_and_is_written_to_when_it_does_again(world: World) -> None:
    written = [world.folder / PROCESSES, world.folder / ROLLOUT]
    blocked = [path.with_suffix(".part") for path in written]
    with world.watched() as watching:
        for path in blocked:
            path.mkdir()  # so nothing can be written there
        world.made[0].kill()
        assert until(lambda: world.slot.restarts == 1)
        world.supervisor.restart()
        assert until(lambda: world.slot.child is world.made[-1] and len(world.made) == 2)
        assert watching.is_alive()
        for path in blocked:
            path.rmdir()
        assert until(lambda: last_rollout(world.folder).state == "done")
        assert until(lambda: b'"restarts":1' in written[0].read_bytes())
