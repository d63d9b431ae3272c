"""How far one recipient has come in one partition of its party's inbox, in bounded memory.

All before `next` is over for it, but for what is *open*: taken up and not over, or *owed*, which is what was open
when the partition was taken over and is not read again yet. So a backlog of any length is one number and a few
open deliveries. What comes to the inbox while a recipient has no room is not looked at: it stands there, and is
read when there is room.

What lasts over a restart is a `Standing`. A recipient that is level with the inbox needs no record per event: its
`next` goes with the position of the group, and what is behind that position is open or over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from hub.delivery.delivery import Delivery
from hub.delivery.message import Message

Owner = tuple[str, str, int]
"""Whose a cursor is: recipient, topic of the inbox, partition."""

Tried = tuple[int, float]
"""Attempts that failed, and when the next is due (epoch seconds)."""

FRESH: Tried = (0, 0.0)
"""Not tried yet."""


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """A cursor as it lasts. `next` is None when it goes with the position of the group.

    What is open is in `fresh`, by offset, until an attempt failed; then in `tried`: offset, attempts, due.
    """

    next: int | None = None
    fresh: tuple[int, ...] = ()
    tried: tuple[tuple[int, int, float], ...] = ()

    def to_bytes(self) -> bytes:
        """JSON."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Standing:
        """The reverse of `to_bytes`. Raises ValueError."""
        return msgspec.json.decode(raw, type=cls)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one cursor may hold: `fresh` deliveries with their bodies of `bytes` in all, and `open` deliveries."""

    fresh: int = 128
    bytes: int = 256 << 10
    open: int = 1_000

    @property
    def half(self) -> Bounds:
        """With room for several more, where there is room at all."""
        return Bounds(max(1, self.fresh // 2), max(1, self.bytes // 2), self.open)


class Cursor:
    """See above. `recipient` is an id."""

    __slots__ = (
        "_first",
        "_held_bytes",
        "held",
        "next",
        "open",
        "owed",
        "owner",
        "partition",
        "recipient",
        "since",
        "topic",
        "written",
    )

    def __init__(self, owner: Owner, next: int) -> None:
        self.owner = owner
        self.recipient, self.topic, self.partition = owner
        self.next = self._first = next
        self.open: dict[int, Delivery] = {}
        self.owed: dict[int, Tried] = {}
        self.held = 0  # open deliveries with their message
        self._held_bytes = 0
        self.since = 0.0  # when the inbox got what is next, where that has had to wait; epoch seconds
        self.written: Standing | None = None  # as it stands in Kafka

    @classmethod
    def restored(cls, owner: Owner, standing: Standing, position: int) -> Cursor:
        """As it was when `standing` was written, with the group at `position`."""
        cursor = cls(owner, position if standing.next is None else standing.next)
        tried = {offset: (attempts, due) for offset, attempts, due in standing.tried}
        every = tried | dict.fromkeys(standing.fresh, FRESH)
        cursor.owed = dict(sorted(every.items()))
        cursor.written = standing
        return cursor

    def standing(self, taken: int, position: int) -> Standing:
        """What is to last when the group moves to `position`, and the stage has taken up all before `taken`."""
        along = self.next == taken and position >= self._first
        end = position if along else self.next
        open = self.owed | {one.offset: (one.attempts, one.due) for one in self.open.values()}
        every = sorted(open.items())
        return Standing(
            None if along else self.next,
            tuple(offset for offset, (tries, _) in every if not tries and offset < end),
            tuple((offset, tries, round(due, 3)) for offset, (tries, due) in every if tries and offset < end),
        )

    def room(self, bounds: Bounds) -> bool:
        """Whether another delivery may be opened."""
        return (
            self.held < bounds.fresh
            and self._held_bytes < bounds.bytes
            and len(self.open) + len(self.owed) < bounds.open
        )

    def hold(self, delivery: Delivery, message: Message) -> None:
        """Open `delivery`, if it is not; and keep its message with it."""
        self.open[delivery.offset] = delivery
        if delivery.message is None:
            delivery.message = message
            self.held += 1
            self._held_bytes += len(message.value)

    def let_go(self, delivery: Delivery) -> None:
        """Keep its message no longer: it is read again when it is tried."""
        if delivery.message is not None:
            self.held -= 1
            self._held_bytes -= len(delivery.message.value)
            delivery.message = None

    def close(self, delivery: Delivery) -> None:
        """It is over. Its message is left to it."""
        if self.open.pop(delivery.offset, None) is not None and delivery.message is not None:
            self.held -= 1
            self._held_bytes -= len(delivery.message.value)

    def owing(self, start: int, end: int) -> Iterator[tuple[int, Tried]]:
        """What is owed between two offsets, in order; it is owed no longer."""
        for offset in [one for one in self.owed if start <= one < end]:
            yield offset, self.owed.pop(offset)
