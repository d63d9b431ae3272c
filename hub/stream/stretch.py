"""A stretch of an inbox: its records between two offsets, none missing, and the last few stretches that were read."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import cached_property
from weakref import WeakValueDictionary

from hub.delivery.message import Message
from hub.events.heads import FEW
from hub.events.kafka import header
from hub.stream.fetched import Columns, Fetched
from hub.stream.records import Place, Record

_OVERHEAD = 1_500  # bytes that a record's headers take, roughly
_MOST = 256  # stretches, so that finding one is quick however small they are


class Stretch:
    """All records of a partition from `start` to before `end`; offsets without a record are markers or compacted."""

    def __init__(
        self, place: Place, start: int, end: int, records: Sequence[Record], at: float | None = None
    ) -> None:
        """With `at` (epoch seconds), the inbox got all of them about then; it costs less than to ask each."""
        self.place = place
        self.start, self.end = start, end
        self._records = records
        self._at = at
        self._made: WeakValueDictionary[int, Message] = WeakValueDictionary()

    @cached_property
    def _columns(self) -> Columns | None:
        """Where there are so many that it is worth it, and none of them was looked at."""
        many = isinstance(self._records, Fetched) and len(self._records) >= FEW
        return self._records.columns() if many else None  # type: ignore[attr-defined]

    @cached_property
    def offsets(self) -> Sequence[int]:
        """Of the records, ascending."""
        return self._columns.offsets if self._columns else [record.offset for record in self._records]

    @cached_property
    def types(self) -> Sequence[str]:
        """Event types of the records."""
        if self._columns:
            return self._columns.heads.texts("ce_type")
        return [header(record.headers, "ce_type") for record in self._records]

    def row(self, offset: int) -> int:
        """Where the first record at or after `offset` is in the columns."""
        return bisect_left(self.offsets, offset)

    def time(self, row: int) -> float:
        """When the inbox got a record, epoch seconds."""
        return self._records[row].timestamp / 1000 if self._at is None else self._at

    def message(self, row: int) -> Message:
        """A record by itself: one object for all who want it, for as long as somebody has it."""
        message = self._made.get(row)
        if message is None:
            if self._columns:
                texts, value = self._columns.heads.row(row), self._columns.values[row]
            else:
                record = self._records[row]
                texts, value = texts_of(record.headers), record.value or b""
            place = (*self.place, self.offsets[row])
            message = Message(place, texts, value, int(self.time(row) * 1000))
            self._made[row] = message
        return message

    @cached_property
    def size(self) -> int:
        """Bytes that it holds, roughly."""
        if self._columns:
            return sum(map(len, self._columns.values)) + _OVERHEAD * len(self.offsets)
        return sum(len(record.value or b"") + _OVERHEAD for record in self._records)


def texts_of(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """A record's headers, those without a value left out."""
    return {name: value.decode(errors="replace") for name, value in headers if value}


class Recent:
    """The stretches read last, up to `most` bytes: whoever falls behind by little finds its next event here."""

    def __init__(self, most: int = 32 << 20) -> None:
        self._most = most
        self._held = 0
        self._stretches: OrderedDict[tuple[Place, int], tuple[Stretch, int]] = OrderedDict()

    def keep(self, stretch: Stretch) -> None:
        """Hold this one too, and let go of what was used longest ago."""
        key = (stretch.place, stretch.start)
        self._forget(key)
        size = stretch.size
        self._stretches[key] = (stretch, size)
        self._held += size
        while len(self._stretches) > 1 and (self._held > self._most or len(self._stretches) > _MOST):
            self._forget(next(iter(self._stretches)))

    def find(self, place: Place, offset: int) -> Stretch | None:
        """One that has what follows from `offset` on."""
        for key, (stretch, _) in reversed(self._stretches.items()):
            if stretch.place == place and stretch.start <= offset < stretch.end:
                self._stretches.move_to_end(key)
                return stretch
        return None

    def _forget(self, key: tuple[Place, int]) -> None:
        _, size = self._stretches.pop(key, (None, 0))
        self._held -= size
