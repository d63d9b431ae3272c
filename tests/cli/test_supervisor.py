"""The supervisor goes on, whatever its children come to: they are stood in for here, and need no process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from hub.cli.child import Child
from hub.cli.supervisor import Rollout, Slot, Supervisor, last_rollout
from hub.testing.live import until


class Puppet(Child):
    """A child without a process, which works as soon as it is started, unless it is told to end at once."""

    def __init__(self, name: str, log_path: Path, *, ends: bool = False) -> None:
        super().__init__(name, [], log_path)
        self.ends = ends
        self._runs = False

    @property
    def runs(self) -> bool:
        return self._runs

    def start(self, kafka: str = "") -> None:
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
        self.made: list[Puppet] = []
        self.slot = Slot("worker", self.make)
        self.supervisor = Supervisor([self.slot], folder, lambda _: ["--help"], 10)

    def make(self, number: int) -> Child:
        puppet = Puppet("ab"[number % 2], self.log, ends=self.broken)
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
