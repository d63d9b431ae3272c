"""What deliveries leave behind in Kafka, in one transaction after the other, and with it the group's positions.

A commit takes all that there is: journal entries, dead letters, the standings of cursors that changed, and the
positions of batches that are closed, or in which something has happened that must not be written again. It begins
as soon as a batch is closed, after a pause, or much has happened; otherwise `GRACE` after the first thing happened.
One is under way at a time, and nobody waits for it.

A commit commits a position in every partition that it writes of, moved or not: whoever takes a partition over asks
for its position first, and Kafka has that wait until the transaction has ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

import structlog

from hub.delivery.clock import Clock
from hub.delivery.cursor import Cursor, Standing
from hub.delivery.delivery import Delivery, Step
from hub.stream.committing import Committer
from hub.stream.delivered import Happened, outputs_of, refused
from hub.stream.inbox_part import InboxPart, InboxParts, Taken
from hub.stream.pending import written
from hub.stream.records import Fence, Output, Place, Positions
from hub.stream.verdicts import Refused

log = structlog.get_logger()

#: How long a batch waits for its deliveries before it is passed all the same, seconds.
GRACE = 0.25

#: How long after a commit the next begins, seconds, unless much has happened: each costs some 3 ms, however little
#: it has to write, and what waits for it is only what a worker that is killed repeats.
PAUSE = 0.2

#: So many steps are written at once: it is what a worker that is killed repeats.
MANY = 200

#: While so many records are not passed or so many steps not written, nothing more should be begun.
MOST_RECORDS, MOST_STEPS = 10_000, 2_000


class Ledger:
    """`changed` is called when there is something to do again, `lost` once if the group has moved on without us."""

    def __init__(
        self, committer: Committer, fence: Fence, parts: InboxParts, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._committer = committer
        self._fence = fence
        self._parts = parts
        self._clock = clock
        self._changed = changed
        self._happened: list[Happened] = []
        self._outputs: list[Output] = []
        self._touched: set[Cursor] = set()
        self._closed: set[InboxPart] = set()  # those whose first batch is closed
        self._concerned: set[InboxPart] = set()  # those of which something is to be written
        self._unpassed = 0
        self._since: float | None = None  # when the first thing happened that is not written
        self._commit: asyncio.Task[None] | None = None
        self._rested = 0.0  # when the pause after the last one is over
        self._failed: BaseException | None = None
        self.lost = False

    @property
    def full(self) -> bool:
        """Whether writing is so far behind that nothing more should be begun."""
        return self._unpassed >= MOST_RECORDS or len(self._happened) >= MOST_STEPS

    def opened(self, part: InboxPart, taken: Taken) -> None:
        """A batch was looked at."""
        part.batches.append(taken)
        self._unpassed += taken.count

    def close(self, part: InboxPart, taken: Taken) -> None:
        """A batch may be passed: what of it is not over is in its cursors' standings from now on."""
        taken.closed = True
        if part.batches and part.batches[0].closed:
            self._closed.add(part)
            self._changed()

    def touch(self, cursor: Cursor) -> None:
        """A cursor's standing may have changed."""
        self._touched.add(cursor)
        self._begun()

    def note(self, step: Step) -> None:
        """Something happened to a delivery; its message is taken down as it is held now."""
        delivery = step.delivery
        self._happened.append(Happened(step, delivery.message))
        # What was taken and led to nothing may be repeated: it costs no standing of what is open beside it.
        repeatable = step.verdict == "delivered" and not step.outcome.outputs
        self._concern(_place(delivery), 0 if repeatable else delivery.offset + 1)

    def write(self, place: Place, outputs: Sequence[Output], end: int = 0) -> None:
        """Write these, too, which tell of what is in `place` before the offset `end`."""
        if outputs:
            self._outputs += outputs
            self._concern(place, end)

    def take_away(self, cursor: Cursor) -> None:
        """Its recipient is over."""
        self._touched.discard(cursor)
        self.write(cursor.owner[1:], [written(cursor.owner, None)])

    def begin(self) -> None:
        """Begin a commit, if it is time."""
        if self._failed is not None:
            raise self._failed
        now = self._clock.now()
        due = self._since is not None and now >= self._since + GRACE
        due = due or (bool(self._closed) and now >= self._rested)
        if self._commit is None and not self.lost and (due or len(self._happened) >= MANY):
            self._commit = asyncio.create_task(self._write())
            self._commit.add_done_callback(self._done)

    async def finish(self) -> None:
        """Write all that there is."""
        if self._commit is not None:
            await asyncio.wait({self._commit})
        if not self.lost and self._failed is None:
            await self._write()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._commit = None
        self._rested = self._clock.now() + PAUSE
        self._clock.call_at(self._rested, self._changed)
        if not task.cancelled():
            self._failed = task.exception()
        self._changed()

    def _concern(self, place: Place, end: int) -> None:
        part = self._parts[place]
        part.told = max(part.told, end)
        self._concerned.add(part)
        self._begun()

    def _begun(self) -> None:
        if self._since is None:
            self._since = self._clock.now()
            self._clock.call_at(self._since + GRACE, self._changed)

    async def _write(self) -> None:
        moved = self._passed()
        happened, outputs = self._happened, self._outputs
        standings = self._standings(moved)
        outputs += [written(cursor.owner, standing) for cursor, standing in standings]
        places = {part.place for part in self._concerned} | {cursor.owner[1:] for cursor, _ in standings}
        positions = self._unmoved(places) | moved
        self._happened, self._outputs, self._since = [], [], None
        self._touched.clear()
        self._concerned.clear()
        if not positions or await self._committed(happened, outputs, positions):
            for place, position in moved.items():
                self._parts[place].position = position
            for cursor, standing in standings:
                cursor.written = standing
        else:
            self.lost = True
            log.info("deliveries-left-to-another-worker", generation=self._fence.generation)

    async def _committed(
        self, happened: Sequence[Happened], others: Sequence[Output], positions: Positions
    ) -> bool:
        try:
            return await self._land([*outputs_of(happened), *others], positions)
        except Refused as fault:
            return await self._land([*await self._sifted(happened, fault), *others], positions)

    async def _sifted(self, happened: Sequence[Happened], fault: Refused) -> list[Output]:
        """Outputs that Kafka takes: what it refuses is found in halves, by rehearsal, and in its place that it does.

        Nothing is written before all of it can be: what is written must not be told again, and only the commit of
        the whole passes the events that it tells of.
        """
        if not happened:
            raise fault
        if len(happened) == 1:
            delivery = happened[0].step.delivery
            where = {"topic": delivery.topic, "partition": delivery.partition, "offset": delivery.offset}
            log.error("output-refused", stage=delivery.stage, kind=fault.kind, **where)
            return refused(happened[0], fault.kind)
        middle = len(happened) // 2
        sifted: list[Output] = []
        for half in (happened[:middle], happened[middle:]):
            outputs = outputs_of(half)
            try:
                await self._committer.rehearse(outputs)
            except Refused as again:
                outputs = await self._sifted(half, again)
            sifted += outputs
        return sifted

    async def _land(self, outputs: Sequence[Output], positions: Positions) -> bool:
        return await self._committer.commit(outputs, positions, self._fence)

    def _unmoved(self, places: Iterable[Place]) -> Positions:
        return {place: self._parts[place].position for place in places}

    def _passed(self) -> Positions:
        positions: Positions = {}
        for part in self._closed | self._concerned:
            at = part.position
            while part.batches and (part.batches[0].closed or at < part.told):
                taken = part.batches.popleft()
                positions[part.place] = at = taken.end
                self._unpassed -= taken.count
        self._closed.clear()
        return positions

    def _standings(self, positions: Positions) -> list[tuple[Cursor, Standing]]:
        """Those that are not as they were written last."""
        found = []
        for part in map(self._parts.__getitem__, positions):
            for cursor in part.cursors.values():
                # What it has open the group may pass now, or it is where it can go along with the group.
                if cursor.next >= part.taken and (cursor.open or cursor.written != Standing()):
                    self._touched.add(cursor)
        for cursor in self._touched:
            part = self._parts[cursor.topic, cursor.partition]
            if part.cursors.get(cursor.recipient) is not cursor:  # its recipient is over
                continue
            standing = cursor.standing(part.taken, positions.get(part.place, part.position))
            if standing != cursor.written:
                found.append((cursor, standing))
        return found


def _place(delivery: Delivery) -> Place:
    return delivery.topic, delivery.partition
