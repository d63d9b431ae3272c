"""Who gets what, and when: recipients' cursors, fed from batches as they come and from Kafka when there is room.

A batch is looked at once. Who is level with the inbox and has room takes from it; who has not falls behind,
without a trace but its cursor, and is fed when it has room again: from what was read last, or else from Kafka.
So nobody waits for anybody, and what is held is bounded whatever the backlog.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from hub.delivery.clock import Clock
from hub.delivery.cursor import FRESH, Bounds, Cursor, Owner, Standing, Tried
from hub.delivery.delivery import Delivery, Step
from hub.delivery.lanes import Lanes, Send
from hub.delivery.message import Message
from hub.delivery.schedule import Outcome
from hub.stream.committing import Committer
from hub.stream.inbox_part import InboxPart, InboxParts, Taken
from hub.stream.inboxes import Inboxes
from hub.stream.ledger import GRACE, Ledger
from hub.stream.pending import written
from hub.stream.recipients import Recipient, Recipients
from hub.stream.records import Batch
from hub.stream.routing import ONLY
from hub.stream.stage import lost_outputs
from hub.stream.stretch import Recent, Stretch

#: While more than so many deliveries are open in all, each cursor may hold less.
MANY_OPEN = 20_000
_TIGHT = Bounds(fresh=16, bytes=32 << 10, open=64)

AGAIN_S = 0.5  # before Kafka is asked once more
_REREAD = 64  # records read for one that is tried again: its neighbours are tried next
_DAY_S = 86_400.0
_TRIED_FOR_S = 4 * _DAY_S  # by the schedule it is less; but receivers may ask for time
_BEFORE_IT_IS_GONE_S = _DAY_S / 4
_TOO_OLD = Outcome(reason="not delivered for as long as the inbox keeps it", final=True, kind="expired")
_LOST = Outcome(reason="past the inbox's retention", final=True, kind="lost")


@dataclass(frozen=True, slots=True)
class Outside:
    """What the stage stands on. What was not begun within `kept_s` seconds becomes a dead letter."""

    recipients: Recipients
    inboxes: Inboxes
    committer: Committer
    lanes: Callable[[Send], Lanes]
    clock: Clock
    kept_s: float
    bounds: Bounds = field(default_factory=Bounds)


def kept_s(retention_days: int) -> float:
    """For `Outside`: what is begun by then is tried for up to four days more, all within the inbox's retention."""
    return retention_days * _DAY_S - _TRIED_FOR_S


class Feeding:
    """Belongs to one tenure. `spawn` runs a coroutine beside it; `changed` says that there is something to do."""

    def __init__(
        self,
        outside: Outside,
        parts: InboxParts,
        ledger: Ledger,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        changed: Callable[[], None],
    ) -> None:
        self._out = outside
        self._parts = parts
        self._ledger = ledger
        self._spawn = spawn
        self._changed = changed
        self.lanes = outside.lanes(self._send)
        self._recent = Recent()
        self._orphans: dict[Owner, Standing] = {}  # of recipients that we have not heard of
        self._gone: set[str] = set()  # recipients that said so themselves
        self._hungry: set[Cursor] = set()  # there may be more for them, and room for it
        self._put_off: set[str] = set()  # recipients for which nothing was begun since they are away
        self._reading: set[Cursor] = set()
        self._read: dict[Cursor, Stretch] = {}
        self._old: set[Cursor] = set()  # what is next for them is too old

    def resume(self, standings: Mapping[Owner, Standing]) -> None:
        """Go on where these were written."""
        for owner, standing in standings.items():
            part = self._parts.get(owner[1:])
            if part is None:
                continue
            self._orphans[owner] = standing
            if standing.next is None and owner[0] not in self._wanted(part):
                # We may not have heard of it yet, and the group moves on: so it stays where it is.
                pinned = Standing(part.position, standing.fresh, standing.tried)
                self._orphans[owner] = pinned
                self._ledger.write(part.place, [written(owner, pinned)])
        self.meet()

    def meet(self) -> None:
        """Take note of who is a recipient now."""
        for part in self._parts.values():
            part.recipients = self._wanted(part)
            for cursor in [one for one in part.cursors.values() if one.recipient not in part.recipients]:
                self.lanes.end(cursor.recipient)
                del part.cursors[cursor.recipient]
                self._read.pop(cursor, None)
                self._ledger.take_away(cursor)
            for name, recipient in part.recipients.items():
                if name in part.cursors or name in part.starting:
                    continue
                standing = self._orphans.pop((name, *part.place), None)
                if standing is not None:
                    self._join(part, Cursor.restored((name, *part.place), standing, part.position))
                else:
                    part.starting.add(name)
                    self._spawn(self._start(part, recipient))

    def take(self, batch: Batch) -> None:
        """Look at a batch, which is the next of its place."""
        part = self._parts[batch.place]
        at = batch.time if batch.records else self._out.clock.now()
        stretch = Stretch(part.place, part.taken, batch.next_offset, batch.records, at)
        part.taken = stretch.end
        taken = Taken(stretch.end, len(batch.records))
        for cursor in part.cursors.values():
            if cursor.next < stretch.start:
                continue
            if not cursor.owed:
                taken.deliveries += self._admit(part, cursor, stretch)
            if cursor.next < stretch.end:  # it was level and is behind from now on
                self._recent.keep(stretch)
                self._ledger.touch(cursor)
        self._ledger.write(part.place, lost_outputs(batch, "deliver"), stretch.end)
        self._ledger.opened(part, taken)
        if taken.deliveries:
            self._spawn(self._settle(part, taken))
        else:
            self._ledger.close(part, taken)

    def stepped(self) -> None:
        """Take note of what happened to deliveries."""
        for step in self.lanes.take():
            delivery = step.delivery
            part = self._parts[delivery.topic, delivery.partition]
            cursor = part.cursors.get(delivery.recipient)
            if step.counted:
                self._ledger.note(step)
            if step.verdict == "ended" and step.outcome.status:
                self._end(part, delivery.recipient)
            if cursor is None:
                continue
            if step.verdict != "attempt-failed":
                cursor.close(delivery)
            elif delivery.verdict is None:
                for one in self.lanes.beside(delivery):  # a lane that waits holds no messages
                    cursor.let_go(one)
            self._ledger.touch(cursor)
            self._hungry.add(cursor)
            self._look_again(delivery.recipient)

    def feed(self) -> None:
        """Give to those who have room what they have not had."""
        if self._ledger.full:
            return
        hungry, self._hungry = self._hungry, set()
        for cursor in hungry:
            part = self._parts[cursor.topic, cursor.partition]
            if part.cursors.get(cursor.recipient) is cursor and cursor not in self._reading:
                self._feed(part, cursor)

    async def sweep(self) -> None:
        """Give up what was not begun, or not taken, for as long as the inbox keeps it, before Kafka drops it."""
        for part in self._parts.values():
            for cursor in list(part.cursors.values()):
                if cursor.next < part.taken and cursor.since < self._too_old:  # or it is not known: look
                    self._old.add(cursor)
                    self._hungry.add(cursor)
                for delivery in list(cursor.open.values()):
                    tried_for = _TRIED_FOR_S - _BEFORE_IT_IS_GONE_S if delivery.attempts else 0.0
                    if delivery.since < self._too_old - tried_for:
                        await self._expire(part, cursor, delivery)

    async def _expire(self, part: InboxPart, cursor: Cursor, delivery: Delivery) -> None:
        """Give it up, with its message: a dead letter without could not be sent again."""
        if self._ledger.full:  # the next sweep goes on
            return
        attempts = delivery.attempts
        message = delivery.message or await self._reread(part, delivery)
        if delivery.attempts > attempts or delivery.verdict is not None:  # tried or over meanwhile
            return
        if message is not None:
            cursor.hold(delivery, message)
        self.lanes.give_up(delivery, _TOO_OLD if message is not None else _LOST)
        self.stepped()

    @property
    def _too_old(self) -> float:
        """What the inbox got before this and was not begun is given up; epoch seconds."""
        return self._out.clock.now() - self._out.kept_s

    def _wanted(self, part: InboxPart) -> dict[str, Recipient]:
        return {one.id: one for one in self._out.recipients.of(part.party) if one.id not in self._gone}

    def _join(self, part: InboxPart, cursor: Cursor) -> None:
        part.cursors[cursor.recipient] = cursor
        self._ledger.touch(cursor)
        self._hungry.add(cursor)
        self._changed()

    async def _start(self, part: InboxPart, recipient: Recipient) -> None:
        """A recipient begins where the inbox was when it was made."""
        while True:
            first = await self._out.inboxes.first_since(part.place, recipient.created)
            if first is not None:
                break
            await asyncio.sleep(AGAIN_S)
        part.starting.discard(recipient.id)
        if recipient.id in part.recipients:
            self._join(part, Cursor((recipient.id, *part.place), first))

    async def _settle(self, part: InboxPart, taken: Taken) -> None:
        await self.lanes.settled(taken.deliveries, GRACE)
        self._ledger.close(part, taken)

    def _admit(self, part: InboxPart, cursor: Cursor, stretch: Stretch) -> list[Delivery]:
        """Open what a cursor is to have of a stretch, as far as there is room."""
        opened: list[Delivery] = []
        recipient = part.recipients[cursor.recipient]
        offsets, types = stretch.offsets, stretch.types
        for row in range(stretch.row(cursor.next), len(offsets)):
            offset = offsets[row]
            if not recipient.wants(types[row]):
                continue
            message = stretch.message(row)
            if message.texts.get(ONLY, recipient.id) != recipient.id or not recipient.takes(message):
                continue
            if cursor in self._old:
                if stretch.time(row) < self._too_old:
                    self._give_up(recipient, message)
                    continue
                self._old.discard(cursor)
            if not self._room(cursor, self._out.bounds):
                cursor.next, cursor.since = offset, stretch.time(row)
                return opened
            opened.append(self._open(recipient, cursor, message))
        cursor.next = max(cursor.next, stretch.end)
        return opened

    def _room(self, cursor: Cursor, bounds: Bounds) -> bool:
        if self.lanes.away(cursor.recipient):
            self._put_off.add(cursor.recipient)
            return False
        return cursor.room(_TIGHT if len(self.lanes) > MANY_OPEN else bounds)

    def _open(self, recipient: Recipient, cursor: Cursor, message: Message, tried: Tried = FRESH) -> Delivery:
        place = (message.topic, message.partition, message.offset)
        delivery = Delivery(recipient.id, message.subject, message.id, *place, *tried)
        delivery.since, delivery.stage = message.timestamp / 1000, recipient.stage
        cursor.hold(delivery, message)
        self.lanes.add(delivery)
        if delivery.verdict is None and self.lanes.beside(delivery)[0].attempts:
            cursor.let_go(delivery)
        return delivery

    def _feed(self, part: InboxPart, cursor: Cursor) -> None:
        while cursor.owed or cursor.next < part.taken:
            if not cursor.owed and cursor not in self._old and not self._starved(cursor):
                self._read.pop(cursor, None)  # it may be long until there is room; `_recent` is bounded
                return
            if self._ledger.full:
                self._hungry.add(cursor)
                return
            start = next(iter(cursor.owed)) if cursor.owed else cursor.next
            stretch = self._at_hand(part, cursor, start)
            if stretch is None:
                self._reading.add(cursor)
                self._spawn(self._fetch(part, cursor, start))
                return
            if cursor.owed:
                self._restore(part, cursor, stretch)
            else:
                self._admit(part, cursor, stretch)
            self._ledger.touch(cursor)

    def _at_hand(self, part: InboxPart, cursor: Cursor, start: int) -> Stretch | None:
        read = self._read.pop(cursor, None)
        if read is not None and read.start <= start < read.end:
            return read
        return self._recent.find(part.place, start)

    async def _fetch(self, part: InboxPart, cursor: Cursor, start: int) -> None:
        end = max(part.taken, start + 1)
        stretch = await self._out.inboxes.stretch(part.place, start, end)
        if stretch is None:
            await asyncio.sleep(AGAIN_S)
        else:
            self._recent.keep(stretch)
            self._read[cursor] = stretch
        self._reading.discard(cursor)
        self._hungry.add(cursor)
        self._changed()

    def _restore(self, part: InboxPart, cursor: Cursor, stretch: Stretch) -> None:
        """Open again what was open when the partition was taken over."""
        recipient = part.recipients[cursor.recipient]
        for offset, tried in cursor.owing(stretch.start, stretch.end):
            row = stretch.row(offset)
            if row < len(stretch.offsets) and stretch.offsets[row] == offset:
                self._open(recipient, cursor, stretch.message(row), tried)
            else:
                lost = Delivery(recipient.id, "", "", *part.place, offset, *tried, stage=recipient.stage)
                self._ledger.note(Step(lost, "dead-lettered", lost.attempts, _LOST, self._out.clock.now()))

    def _give_up(self, recipient: Recipient, message: Message) -> None:
        place = (message.topic, message.partition, message.offset)
        old = Delivery(recipient.id, message.subject, message.id, *place, message=message)
        old.stage = recipient.stage
        self._ledger.note(Step(old, "dead-lettered", 0, _TOO_OLD, self._out.clock.now()))

    def _starved(self, cursor: Cursor) -> bool:
        """Whether there is room for so many that it is worth looking."""
        return self._room(cursor, self._out.bounds.half)

    def _look_again(self, recipient: str) -> None:
        """Feed one that was away and is back."""
        if recipient in self._put_off and not self.lanes.away(recipient):
            self._put_off.discard(recipient)
            for part in self._parts.values():
                if recipient in part.cursors:
                    self._hungry.add(part.cursors[recipient])

    def _end(self, part: InboxPart, name: str) -> None:
        recipient = part.recipients.get(name)
        if recipient is not None:
            self._gone.add(name)
            self._ledger.write(part.place, recipient.gone("the subscriber answered 410 Gone"))
            self.meet()

    async def _send(self, delivery: Delivery) -> Outcome:
        part = self._parts[delivery.topic, delivery.partition]
        recipient = part.recipients.get(delivery.recipient)
        cursor = part.cursors.get(delivery.recipient)
        if recipient is None or cursor is None:
            return Outcome(reason="the recipient is gone", final=True)
        message = delivery.message or await self._reread(part, delivery)
        if message is None:
            return _LOST
        cursor.hold(delivery, message)
        return await recipient.send(message)

    async def _reread(self, part: InboxPart, delivery: Delivery) -> Message | None:
        """The message of a delivery that is tried again; None where it is gone for good."""
        offset = delivery.offset
        end = max(min(part.taken, offset + _REREAD), offset + 1)
        while True:
            stretch = self._recent.find(part.place, offset)
            stretch = stretch or await self._out.inboxes.stretch(part.place, offset, end)
            if stretch is not None:
                self._recent.keep(stretch)
                row = stretch.row(offset)
                there = row < len(stretch.offsets) and stretch.offsets[row] == offset
                return stretch.message(row) if there else None
            await asyncio.sleep(AGAIN_S)
