"""What a register source does in a round: as a file drop, but only what differs from the register before is landed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
import structlog

from hub.events.ids import derive
from hub.sdk.connector import FAULT
from hub.sdk.errors import HubError
from hub.sdk.files import Dropped, RegisterSource, change_of
from hub.sdk.rows import BadRow, encoded
from hub.stream.filing import PORTION, Filing, Position, fitting
from hub.stream.instances import Desk
from hub.stream.off_loop import off_loop
from hub.stream.raw import raw_output, too_large
from hub.stream.records import Output
from hub.stream.register_cache import RegisterCache
from hub.stream.spool import Numbered, Spool

log = structlog.get_logger()

#: A register may lose so many entries whatever share of it they are.
_FEW = 10


class Registering(Filing):
    """The work of a register source.

    A file in hand is always read from its start: rows up to where the dead worker got are compared with nothing,
    and only noted as seen. What was landed of them is in the register already.
    """

    connector: RegisterSource[Any, Any]

    def __init__(self, source: RegisterSource[Any, Any], spool: Spool, cache: RegisterCache) -> None:
        super().__init__(source, spool)
        self._cache = cache
        self._same: list[str] = []
        self._stored: dict[str, bytes] = {}
        self._unread = 0
        self._doubted: set[str] = set()

    async def begin(self, desk: Desk) -> float:
        """Know the register as it stands."""
        await off_loop(self._cache.open, self._cache.abandon)
        return await super().begin(desk)

    async def end(self) -> None:
        """Close the copy too."""
        await super().end()
        self._cache.close()

    def ordered(self) -> bool:
        """An older register after a newer one would undo what that one changed."""
        return True

    def known(self, desk: Desk, file: Dropped) -> bool:
        """Only the last one: registers do go back to what they were."""
        return file.digest == self.position.last

    def starts_after(self) -> int:
        """From the start, always."""
        return 0

    async def begun(self) -> None:
        """What the copy says of this register is what Kafka says: all that was not committed is compared again."""
        number = self.position.number + 1
        await off_loop(lambda: self._cache.begin(number), self._cache.abandon)

    def given_up(self) -> Position:
        """The number is used up: entries that the file had are marked with it. What it changed stays changed, so the
        last file is no more what the register is."""
        left = self.position.settled()
        return msgspec.structs.replace(left, number=left.number + 1, last="")

    def outputs(self, file: Dropped, rows: Iterable[Numbered]) -> Iterator[list[Output]]:
        """Changes as raw records, each with the entry as it is now."""
        self._same, self._stored = [], {}
        number, now = self.position.number + 1, set[str]()
        for line, row in rows:
            after, fault = encoded(row)
            key, fault = ("", fault) if fault or isinstance(row, BadRow) else self._key(row)
            known = self._cache.get(key) if key else None
            before, last = self._rows(known[0]) if known else (None, None)
            self._unread += not key
            passed = line <= self.position.row
            if key and (key in now or (known and known[1] == number)):
                fault = "a row with this key came before"
            now.add(key)
            if fault:
                yield [] if passed else [self._faulty(file, line, after, fault)]
            elif passed or last == after:
                self._same.append(key)
            elif fault := too_large((before or b"") + after):
                self._same.append(key)  # and stays as it is: what changed cannot be told
                yield [self._faulty(file, line, after, f"with the row before it, {fault}")]
            else:
                self._stored[key] = entry = self._entry(before, after)
                yield [self._change(file, number, key, before, after), self._cache.output(key, entry)]

    def _entry(self, before: bytes | None, after: bytes) -> bytes:
        """What is stored of a row: one that replaces none has the row before beside it. Rows are objects, no lists."""
        return after if before is None or self._replaces(before, after) else b"[%s,%s]" % (before, after)

    def _rows(self, entry: bytes) -> tuple[bytes, bytes]:
        """The row of an entry that later ones are compared with, and its last."""
        if not entry.startswith(b"["):
            return entry, entry
        before, last = map(bytes, msgspec.json.decode(entry, type=tuple[msgspec.Raw, msgspec.Raw]))
        # Asked again, since the model may have learnt to read it, and what was set aside been redriven.
        return last if self._replaces(before, last) else before, last

    def _replaces(self, before: bytes, after: bytes) -> bool:
        """As the connector says. Where it fails, the row before stays, as where the row after does not fit."""
        rows = msgspec.json.decode(before), msgspec.json.decode(after)
        try:
            return self.connector.replaces(*rows)
        except Exception as error:  # noqa: BLE001 - of these two rows alone
            kind = type(error).__name__
        if kind not in self._doubted:  # once a file: it may be so with every row
            self._doubted.add(kind)
            log.warning("rows-not-compared", instance=self.connector.key, error=kind)
        return False

    async def applied(self) -> None:
        """The copy takes over what is committed."""
        number = self.position.number + 1
        await off_loop(lambda: self._cache.apply(number, self._same, self._stored.items(), ()))

    async def finish(self, desk: Desk, file: Dropped) -> None:
        """Remove what the file does not have, by portions; then it is the register."""
        number, entries = self.position.number + 1, self.position.entries
        missing = await off_loop(lambda: self._cache.count(number))
        doubt = ""
        if missing and self._unread:  # each may be one of the missing
            doubt = f"rows that cannot be read: {self._unread}"
        elif missing > max(_FEW, self.connector.most_removed * entries):
            doubt = "the file may be cut off"
        if doubt:
            reason = f"{missing} of {entries} entries are missing: {doubt}, nothing is removed"
            await self.set_aside(desk, file, reason)
            return
        gone = await off_loop(lambda: list(fitting(self._cache.unseen(number, PORTION), _size)))
        if gone:
            outputs = [self._change(file, number, key, self._rows(entry)[0], None) for key, entry in gone]
            outputs += [self._cache.output(key, None) for key, _ in gone]
            await desk.commit(outputs, self.position.text())
            await off_loop(lambda: self._cache.apply(number, (), (), [key for key, _ in gone]))
            return
        there = await off_loop(self._cache.count)
        await self.settle(desk, Position(number=number, last=file.digest, entries=there))
        await off_loop(self._cache.read_up)
        await self.put_away(file, self.connector.archive)

    def _let_go(self) -> None:
        """Who reads the file again counts again."""
        super()._let_go()
        self._unread, self._doubted = 0, set()

    def _key(self, row: Mapping[str, Any]) -> tuple[str, str]:
        """A row's key, and what is wrong with it."""
        try:
            key = self.connector.row_key(row)
        except HubError as error:
            return "", error.reason
        except Exception as error:  # noqa: BLE001 - of this row alone
            return "", f"the row has no key: {type(error).__name__}"
        return key, "" if key else "the row has no key"

    def _change(
        self, file: Dropped, number: int, key: str, before: bytes | None, after: bytes | None
    ) -> Output:
        source = self.connector
        change = change_of(key, before, after, file.modified, number)
        raw_id = derive(source.instance.source, source.name, change["id"])
        row = msgspec.json.decode(after or before or b"{}") if source.key_field else {}
        return raw_output(
            source,
            raw_id,
            source.change_key(key, row),
            msgspec.json.encode(change),
            file.attributes(0),
        )

    def _faulty(self, file: Dropped, line: int, body: bytes, fault: str) -> Output:
        source, raw_id = self.connector, self.connector.raw_id(file, line)
        return raw_output(source, raw_id, raw_id, body, file.attributes(line) | {FAULT: fault})


def _size(entry: tuple[str, bytes]) -> int:
    return len(entry[1])
