"""What `Lanes` keeps: a lane per recipient and subject, and per recipient what holds for all its lanes."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

from hub.delivery.clock import Timer
from hub.delivery.delivery import Delivery


class Signal:
    """Wakes those who wait for the next change. An `asyncio.Event` would have to be cleared for each."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def next(self) -> asyncio.Future[None]:
        """Done at the next change."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def fire(self) -> None:
        """This is a change."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


@dataclass(slots=True, eq=False)
class Lane:
    """What one recipient is to get about one subject."""

    owner: Owner
    subject: str
    waiting: list[Delivery] = field(default_factory=list)  # by place in the inbox, the one under way included
    running: Delivery | None = None
    queued: bool = False
    early: bool = False  # the head is to be tried before it is due: its recipient is back
    hurried: Delivery | None = None  # the head that was tried early since it last was when due
    timer: Timer | None = None
    changed: Signal = field(default_factory=Signal)

    @property
    def fresh(self) -> bool:
        """Whether its head was not tried yet, or is so for the first time."""
        return bool(self.waiting) and not self.waiting[0].attempts

    def disarm(self) -> None:
        """No attempt is planned any more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


@dataclass(slots=True, eq=False)
class Owner:
    """One recipient; times in epoch seconds. Nothing of it is kept over a restart."""

    id: str
    lanes: dict[str, Lane] = field(default_factory=dict)
    ready: deque[Lane] = field(default_factory=deque)  # heads that are due and await a place
    running: int = 0
    pending: int = 0
    paused: float = 0.0  # until when it asked to be left alone
    ended: str = ""  # the reason, once over
    failed: int = 0  # attempts, since the last that it took
    probe: Timer | None = None
    probe_at: float = 0.0
    probe_wait: float = 0.0
    new_at: float = 0.0  # while it is away: when something new may be added, if nothing else is new
    new_wait: float = 0.0

    def no_probe(self) -> None:
        """It is not looked after any more."""
        if self.probe is not None:
            self.probe.cancel()
            self.probe = None
