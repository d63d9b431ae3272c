"""What a fault is, and the register of all."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, ClassVar, TypeVar

from tests.chaos.control import settle
from tests.chaos.processes import until

if TYPE_CHECKING:
    from tests.chaos.generator import Generator
    from tests.chaos.reading import Origin
    from tests.chaos.registers import Registers
    from tests.chaos.stage import Stage
    from tests.chaos.truth import Truth

FAULTS: dict[str, type[Fault]] = {}
"""All, by name; filled by importing `tests.chaos.faults`."""

F = TypeVar("F", bound="type[Fault]")


@dataclass
class Laboratory:
    """What faults work on."""

    stage: Stage
    generator: Generator
    registers: Registers
    truth: Truth
    planted: set[Origin] = field(default_factory=set)
    """Records that were written into topics past the hub."""
    notes: list[str] = field(default_factory=list)
    """What was noticed and is no matter of sets."""
    missed: list[str] = field(default_factory=list)
    """Faults that found nothing to strike, in the company of others, say."""

    @property
    def progress(self) -> int:
        """Messages that were accepted and rows of registers that were delivered."""
        return self.generator.accepted + self.registers.told

    @property
    def silent_s(self) -> float:
        """Seconds since anything was accepted or delivered."""
        return time.monotonic() - max(self.generator.last_accepted, self.stage.receivers.last_taken)


class Fault:
    """One fault. `begin`, then `last`, then `end`, which leaves everything as it was; each is called once.

    `touches` is what it takes for itself: two faults that touch the same are never at work together. `skipped`
    says why it cannot be had here. It lasts until `events` more messages were accepted, at least `least` and at
    most `most` seconds: on progress, not on time, and for so long where there is no progress.
    """

    name: ClassVar[str]
    touches: ClassVar[frozenset[str]] = frozenset()
    events: ClassVar[int] = 100
    least: ClassVar[float] = 0.0
    most: ClassVar[float] = 8.0

    def __init__(self, random: Random) -> None:
        self.random = random

    @classmethod
    def skipped(cls, stage: Stage) -> str:
        """The reason, or nothing."""
        return ""

    async def begin(self, lab: Laboratory) -> None:
        """Do it."""
        raise NotImplementedError

    async def last(self, lab: Laboratory) -> None:
        """Return when it is to end."""
        wanted = lab.generator.accepted + self.events
        await settle(self.least)
        await until(lambda: lab.generator.accepted >= wanted, max(0.0, self.most - self.least))

    async def end(self, lab: Laboratory) -> None:
        """Take it away."""


def fault(name: str, *touches: str) -> Callable[[F], F]:
    """Enter a class in the register."""

    def enter(cls: F) -> F:
        cls.name = name
        cls.touches = frozenset(touches)
        assert name not in FAULTS
        assert cls.__doc__
        FAULTS[name] = cls
        return cls

    return enter
