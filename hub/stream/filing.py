"""What a file drop does in a round: find a complete file, land a portion of its rows, archive it at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePath
from time import monotonic
from typing import Any, TypeVar

import msgspec
import structlog

from hub.sdk.connector import FAULT
from hub.sdk.errors import Reject
from hub.sdk.files import Dropped, FileDropSource
from hub.sdk.places import Found, Place, is_bare
from hub.sdk.rows import BadRow, encoded
from hub.stream.instances import Desk
from hub.stream.off_loop import off_loop
from hub.stream.raw import raw_output
from hub.stream.records import PORTION_BYTES, Output
from hub.stream.spool import Numbered, Reading, Spool, Unreadable
from hub.stream.verdicts import Refused

log = structlog.get_logger()

#: Rows that one transaction covers at most; of what they become, no more than `PORTION_BYTES`.
PORTION = 2_000

#: Bytes that a file's name may have, and signs of a suffix that is kept whatever the name's length.
_LONGEST_NAME, _LONGEST_SUFFIX = 255, 32

#: The note of a file that is given up and may not be out of the way yet.
_REFUSED = b"refused"

T = TypeVar("T")


def fitting(each: Iterable[T], size: Callable[[T], int]) -> Iterator[T]:
    """As many of them as one transaction covers by their bytes; one at least."""
    left = PORTION_BYTES
    for one in each:
        yield one
        left -= size(one)
        if left <= 0:
            return


class Position(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a file drop got: the file in hand, if any, the rows of it that are landed, its bytes read and all.

    For registers also how many were applied, the digest of the last, and how many entries it had.
    """

    digest: str = ""
    name: str = ""
    row: int = 0
    read: int = 0
    size: int = 0
    number: int = 0
    last: str = ""
    entries: int = 0

    def text(self) -> str:
        """As a cursor."""
        return msgspec.json.encode(self).decode()

    def settled(self) -> Position:
        """With no file in hand."""
        return Position(number=self.number, last=self.last, entries=self.entries)


class Filing:
    """The work of a file drop. That a file was taken, or given up, is a note of its own, named by its digest."""

    def __init__(self, source: FileDropSource[Any, Any], spool: Spool) -> None:
        self.connector = source
        self.position = Position()
        self._spool = spool
        self._place: Place | None = None
        self._reading: Reading | None = None
        self._taken: Found | None = None
        self._seen: dict[str, tuple[Found, float]] = {}
        self._failed: Counter[str] = Counter()
        self._passed_over = 0

    @property
    def patience(self) -> float:
        """As the source says, for each piece of a file."""
        return self.connector.patience.total_seconds()

    async def begin(self, desk: Desk) -> float:
        """Know how far the file in hand got."""
        self.position = _committed(desk)
        return 0

    async def round(self, desk: Desk) -> float:
        """Land a portion of the file in hand, or look for one."""
        try:
            if self._reading is None:
                return await self._look(desk)
            await self._portion(desk, self._reading)
        except BaseException:
            self._let_go()  # rows that were read and not committed are read again
            self.position = _committed(desk)
            if self._taken is not None:
                self._failed[self._taken.name] += 1
            raise
        return 0

    async def _portion(self, desk: Desk, reading: Reading) -> None:
        before = reading.row
        try:
            outputs = await off_loop(lambda: self._next(reading))
        except Unreadable as error:
            await self.set_aside(desk, reading.file, f"the file cannot be read: {error}")
            return
        desk.progress()
        try:
            if reading.row > before:
                await self._land(desk, reading, outputs)
            else:
                await self.finish(desk, reading.file)
        except Refused as refused:  # and would be again: nothing of the portion is written
            await self.set_aside(desk, reading.file, f"Kafka refuses what it leads to: {refused.kind}")

    def _next(self, reading: Reading) -> list[Output]:
        """What the next rows become. Runs in a thread."""
        each = self.outputs(reading.file, reading.next(PORTION))
        return [output for made in fitting(each, _bytes_of) for output in made]

    async def end(self) -> None:
        """Let go of the file in hand, and of the place."""
        self._let_go()
        self._failed.clear()
        place, self._place = self._place, None
        if place is not None:
            await place.close()

    # What registers do otherwise:

    def ordered(self) -> bool:
        """Whether a file that fails is waited for. The others go first if not."""
        return self.connector.ordered

    def known(self, desk: Desk, file: Dropped) -> bool:
        """Whether a file was taken before."""
        return file.digest in desk.notes

    def starts_after(self) -> int:
        """The row after which the file in hand is read."""
        return self.position.row

    async def begun(self) -> None:
        """A file is about to be read, after that row."""

    def outputs(self, file: Dropped, rows: Iterable[Numbered]) -> Iterator[list[Output]]:
        """What rows become, one by one, for as long as there is room for the next. Runs in a thread."""
        for line, row in rows:
            yield [self.row_output(file, line, row)]

    def given_up(self) -> Position:
        """The position after the file in hand was not read to its end."""
        return self.position.settled()

    async def applied(self) -> None:
        """What `outputs` gave last is committed."""

    async def finish(self, desk: Desk, file: Dropped) -> None:
        """The end of the file is reached: settle it, or do a part of that and be asked again."""
        note = msgspec.json.encode({"name": file.name, "rows": self.position.row})
        await self.settle(desk, self.position.settled(), {file.digest: note})
        await self.put_away(file, self.connector.archive)

    # What they share:

    def row_output(self, file: Dropped, line: int, row: Mapping[str, Any] | BadRow) -> Output:
        """A row as a raw record."""
        source = self.connector
        body, fault = encoded(row)
        raw_id = source.raw_id(file, line)
        key = raw_id if isinstance(row, BadRow) else source.raw_key(row, raw_id)
        beside = file.attributes(line) | ({FAULT: fault} if fault else {})
        return raw_output(source, raw_id, key, body, beside)

    async def settle(
        self, desk: Desk, position: Position, notes: Mapping[str, bytes | None] | None = None
    ) -> None:
        """Commit a position and nothing else."""
        await desk.commit([], position.text(), notes)
        self.position = position

    async def set_aside(self, desk: Desk, file: Dropped, reason: str) -> None:
        """Give a file up, and move it to quarantine."""
        log.warning("file-quarantined", instance=desk.key, reason=reason)
        await self._give_up(desk, file, reason, {file.digest: _REFUSED})
        await self._quarantine(desk, file)

    async def _give_up(
        self, desk: Desk, file: Dropped, reason: str, notes: Mapping[str, bytes] | None = None
    ) -> None:
        """Have the reason be a raw record that becomes a dead letter."""
        source, raw_id = self.connector, self.connector.raw_id(file, 0)
        output = raw_output(source, raw_id, raw_id, b"", file.attributes(0) | {FAULT: reason})
        position = self.given_up()
        await desk.commit([output], position.text(), notes)
        self.position = position

    async def _quarantine(self, desk: Desk, file: Dropped) -> None:
        """Move a file that is given up. Once it is out of the way it may come again, and is then read again."""
        await self.put_away(file, self.connector.quarantine)
        await self.settle(desk, self.position, {file.digest: None})

    async def put_away(self, file: Dropped, folder: str) -> None:
        """Move the file where it belongs, under a name that no other has; one that is gone is no matter.

        What lies there in its place by now is left, and its marker: that was not read, and is taken next.
        """
        self._let_go()
        self._spool.clear()
        there = (await self._listed()).get(file.name, self._taken)
        if there != self._taken:
            log.info("file-changed-since", instance=self.connector.key, digest=file.digest)
            return
        names = [file.name]
        if self.connector.marker:
            names.append(self.connector.marker.format(name=file.name))
        for name in names:
            try:
                await self.place.move(name, folder, _marked(name, file.digest[:8]))
            except Reject as reject:
                if reject.kind != "file-gone":
                    raise

    @property
    def place(self) -> Place:
        """Where the files are."""
        if self._place is None:
            self._place = self.connector.place()
        return self._place

    async def _look(self, desk: Desk) -> float:
        source, self._taken = self.connector, None
        listed = await self._listed()
        self._failed = Counter({name: count for name, count in self._failed.items() if name in listed})
        wanted = [found for found in listed.values() if fnmatchcase(found.name, source.pattern)]
        self._seen = {found.name: self._since(found) for found in wanted}
        if self.position.digest and self.position.name not in listed:
            gone, row = self._in_hand(), self.position.row
            log.warning("file-taken-away", instance=desk.key, row=row)
            await self._give_up(desk, gone, f"the file was taken away after row {row}")
            await self.put_away(gone, source.quarantine)  # for its marker
            return 0
        now = monotonic()
        ready = [one for one in wanted if source.is_complete(one, listed, now - self._seen[one.name][1])]
        if ready:
            await self._take(desk, min(ready, key=self._turn))  # of those whose turn it is, the oldest
            return 0
        every = source.instance.interval(source.every)
        return min(every, max(source.settled_after.total_seconds(), 0.05)) if wanted else every

    def _turn(self, found: Found) -> tuple[bool, int]:
        """The file in hand first; and last what failed most often, or it would hold up the rest."""
        return found.name != self.position.name, 0 if self.ordered() else self._failed[found.name]

    async def _listed(self) -> dict[str, Found]:
        """What lies there, by name. What has a name that no place takes must not hold up the rest."""
        found = await self.place.listed("*")
        listed = {one.name: one for one in found if is_bare(one.name)}
        before, self._passed_over = self._passed_over, len(found) - len(listed)
        if self._passed_over > before:
            log.warning("files-passed-over", instance=self.connector.key, count=self._passed_over)
        return listed

    def _in_hand(self) -> Dropped:
        """The file that the position is in, where it is not there to be read on."""
        return Dropped(self.position.name, self.connector.clock.now(), self.position.digest)

    def _since(self, found: Found) -> tuple[Found, float]:
        known = self._seen.get(found.name)
        return known if known and known[0] == found else (found, monotonic())

    async def _take(self, desk: Desk, found: Found) -> None:
        self._taken = found
        file, path = await self._spool.fetch(self.place, found, desk.progress)
        if desk.notes.get(file.digest) == _REFUSED:
            await self._quarantine(desk, file)
            return
        if self.known(desk, file):
            log.info("file-taken-before", instance=desk.key, digest=file.digest)
            await self.put_away(file, self.connector.archive)
            return
        if self.position.digest != file.digest:
            if self.position.digest:
                reason = f"the file was changed after row {self.position.row}"
                await self._give_up(desk, self._in_hand(), reason)
            self.position = msgspec.structs.replace(
                self.position, digest=file.digest, name=file.name, row=0, read=0, size=found.size
            )
        elif self.position.row:
            log.info("file-resumed", instance=desk.key, row=self.position.row)
        await self.begun()
        self._reading = Reading(self.connector, file, path, self.starts_after())

    async def _land(self, desk: Desk, reading: Reading, outputs: list[Output]) -> None:
        if outputs:  # of a register, often nothing
            position = msgspec.structs.replace(self.position, row=reading.row, read=reading.done)
            await desk.commit(outputs, position.text())
            self.position = position
        await self.applied()

    def _let_go(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None


def _committed(desk: Desk) -> Position:
    return msgspec.json.decode(desk.state.cursor or "{}", type=Position)


def _marked(name: str, mark: str) -> str:
    """A name with a mark before its suffix, if that is one and not half a sentence; cut to what a name may have."""
    path = PurePath(name)
    is_one = len(path.suffix) <= _LONGEST_SUFFIX
    start, end = (path.stem, f".{mark}{path.suffix}") if is_one else (name, f".{mark}")
    return start.encode()[: _LONGEST_NAME - len(end.encode())].decode(errors="ignore") + end


def _bytes_of(outputs: Iterable[Output]) -> int:
    return sum(len(output.value or b"") for output in outputs)
