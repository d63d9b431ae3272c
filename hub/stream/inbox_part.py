"""An inbox partition while it is ours: what was looked at, what is passed, and how far each recipient has come."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from hub.delivery.cursor import Cursor
from hub.delivery.delivery import Delivery
from hub.stream.recipients import Recipient
from hub.stream.records import Place


@dataclass(slots=True, eq=False)
class Taken:
    """A batch that was looked at, of `count` records: what it led to, and where the group is once that is over."""

    end: int
    count: int
    deliveries: list[Delivery] = field(default_factory=list)
    closed: bool = False


class InboxPart:
    """All before `taken` was looked at, the group is at `position`; between are `batches`, in order.

    Before `told` something has happened that must not be written twice.
    """

    def __init__(self, place: Place, position: int) -> None:
        self.place = place
        self.party = place[0].removeprefix("inbox.")
        self.taken = self.position = self.told = position
        self.batches: deque[Taken] = deque()
        self.recipients: Mapping[str, Recipient] = {}
        self.cursors: dict[str, Cursor] = {}
        self.starting: set[str] = set()  # recipients that are new, until it is known where they begin


InboxParts = Mapping[Place, InboxPart]
