"""Reading inboxes beside the group: for recipients that are behind, for what is tried again, for those that are new."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from math import ceil
from time import monotonic
from typing import Protocol, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from hub.delivery.cursor import Owner, Standing
from hub.stream.pending import read_standings
from hub.stream.reading import Message, at_end, new_consumer
from hub.stream.records import Place, Read
from hub.stream.stretch import Stretch

log = structlog.get_logger()

T = TypeVar("T")

#: Of one reading: records, bytes, and seconds after which what there is has to do.
_RECORDS, _BYTES, _PATIENCE = 256, 1 << 20, 5.0

#: Connections that are kept, each for one who reads on where it was.
_OPEN = 8


class Inboxes(Protocol):
    """What the deliver stage reads beside its batches. None is for "not now": Kafka did not answer in time."""

    async def stretch(self, place: Place, start: int, end: int) -> Stretch | None:
        """What follows from `start`, as much as is read at once; `end` is committed and more than `start`."""

    async def first_since(self, place: Place, since: float) -> int | None:
        """The offset of the first record that the inbox got at `since` (epoch seconds) or later, or of the next."""

    async def standings(self, partitions: Iterable[int]) -> Mapping[Owner, Standing]:
        """How far recipients have come. Raises what Kafka raises: nothing goes on without that."""


class KafkaInboxes:
    """`Inboxes` in Kafka, on a thread of their own, which calls `begin` first."""

    def __init__(self, servers: str, begin: Callable[[], None] = lambda: None) -> None:
        self._servers = servers
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inboxes", initializer=begin)
        self._open: OrderedDict[tuple[Place, int], _Reader] = OrderedDict()
        self._asking: Consumer | None = None

    async def stretch(self, place: Place, start: int, end: int) -> Stretch | None:
        """As promised; up to 256 records and 1 MiB."""
        return await self._tried(lambda: self._stretch(place, start, end))

    async def first_since(self, place: Place, since: float) -> int | None:
        """As promised."""
        return await self._tried(lambda: self._first_since(place, since))

    async def standings(self, partitions: Iterable[int]) -> Mapping[Owner, Standing]:
        """As promised."""
        wanted = sorted(partitions)
        return await self._on_thread(lambda: read_standings(self._servers, wanted))

    def close(self) -> None:
        """Close the connections."""
        self._thread.shutdown(cancel_futures=True)
        while self._open:
            self._open.popitem()[1].close()
        if self._asking is not None:
            self._asking.close()

    async def _on_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)

    async def _tried(self, call: Callable[[], T]) -> T | None:
        try:
            return await self._on_thread(call)
        except KafkaException as error:
            log.warning("inbox-not-read", error=error.args[0].name())
            return None

    def _stretch(self, place: Place, start: int, end: int) -> Stretch | None:
        # Who reads on takes the connection that stands there; where it stands is its name.
        reader = self._open.pop((place, start), None)
        if reader is None:
            while len(self._open) >= _OPEN:
                self._open.popitem(last=False)[1].close()
            reader = _Reader(self._servers, place, start)
        try:
            found = reader.read(end)
        except BaseException:
            reader.close()
            raise
        replaced = self._open.pop((place, reader.next), None)
        if replaced is not None:
            replaced.close()
        self._open[place, reader.next] = reader
        if reader.next == start:
            return None
        alike: dict[_Header, _Header] = {}
        return Stretch(place, start, reader.next, [_record(one, alike) for one in found])

    def _first_since(self, place: Place, since: float) -> int:
        if self._asking is None:
            self._asking = new_consumer(self._servers)
        # Kafka counts milliseconds; what they are in a float may be a trifle less or more.
        asked = TopicPartition(*place, ceil(round(since * 1000, 3)))
        # The end first: what comes between the two questions is after it, and counts as later.
        _, end = self._asking.get_watermark_offsets(asked, timeout=_PATIENCE)
        (found,) = self._asking.offsets_for_times([asked], timeout=_PATIENCE)
        return int(end if found.offset < 0 else found.offset)


_Header = tuple[str, bytes]


def _record(message: Message, alike: dict[_Header, _Header]) -> Read:
    """A message as a record; its headers are those in `alike`, where others had the same: most of what it takes."""
    return Read(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        [alike.setdefault(one, one) for one in message.headers() or []],
    )


class _Reader:
    """Reads one partition, forward only: a consumer that is sent elsewhere is slower than a new one."""

    def __init__(self, servers: str, place: Place, start: int) -> None:
        self.next = start
        self._ahead: Message | None = None
        self._consumer: Consumer = new_consumer(servers, ahead_kb=1_024)
        # Asking first has the client learn the partition's leader at once, and not a second later.
        asked = TopicPartition(*place, start)
        first, _ = self._consumer.get_watermark_offsets(asked, timeout=_PATIENCE)
        if first > start:  # what was never begun is given up long before this, see `Feeding.sweep`
            log.error("inbox-past-retention", topic=place[0], partition=place[1], missing=first - start)
        self._consumer.assign([asked])

    def read(self, end: int) -> list[Message]:
        """What follows, before `end`; `next` is where that ends."""
        found: list[Message] = []
        size, until = 0, monotonic() + _PATIENCE
        while self.next < end and len(found) < _RECORDS and size < _BYTES and monotonic() < until:
            message = self._ahead or self._consumer.poll(0.1)
            self._ahead = None
            if message is None:
                continue
            if at_end(message):  # all before this offset was read: between are only markers
                self.next = max(self.next, min(message.offset(), end))
            elif message.offset() >= end:
                self._ahead = message
                self.next = end
            else:
                found.append(message)
                size += len(message.value() or b"")
                self.next = message.offset() + 1
        return found

    def close(self) -> None:
        """Close the connection."""
        self._consumer.close()
