"""Reading inboxes beside the group: for recipients that are behind, for what is tried again, for those that are new."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Protocol, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from hub.delivery.cursor import Owner, Standing
from hub.stream.pending import read_standings
from hub.stream.reading import Message, at_end, new_consumer
from hub.stream.records import Read
from hub.stream.stretch import Stretch

log = structlog.get_logger()

T = TypeVar("T")

#: Of one reading: records, bytes, and seconds after which what there is has to do.
_RECORDS, _BYTES, _PATIENCE = 256, 1 << 20, 5.0

#: Connections that are kept, each for one who reads on where it was.
_OPEN = 8


class Inboxes(Protocol):
    """What the deliver stage reads beside its batches. None is for "not now": Kafka did not answer in time."""

    async def stretch(self, topic: str, partition: int, start: int, end: int) -> Stretch | None:
        """What follows from `start`, as much as is read at once; `end` is committed and more than `start`."""

    async def first_since(self, topic: str, partition: int, since: float) -> int | None:
        """The offset of the first record that the inbox got at `since` (epoch seconds) or later, or of the next."""

    async def standings(self, partitions: Iterable[int]) -> Mapping[Owner, Standing]:
        """How far recipients have come. Raises what Kafka raises: nothing goes on without that."""


class KafkaInboxes:
    """`Inboxes` in Kafka, on a thread of their own."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inboxes")
        self._open: OrderedDict[tuple[str, int, int], _Reader] = OrderedDict()
        self._asking: Consumer | None = None

    async def stretch(self, topic: str, partition: int, start: int, end: int) -> Stretch | None:
        """As promised; up to 256 records and 1 MiB."""
        return await self._tried(lambda: self._stretch(topic, partition, start, end))

    async def first_since(self, topic: str, partition: int, since: float) -> int | None:
        """As promised."""
        return await self._tried(lambda: self._first_since(topic, partition, since))

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

    def _stretch(self, topic: str, partition: int, start: int, end: int) -> Stretch | None:
        # Who reads on takes the connection that stands there; what it stands at is its name.
        reader = self._open.pop((topic, partition, start), None)
        if reader is None:
            while len(self._open) >= _OPEN:
                self._open.popitem(last=False)[1].close()
            reader = _Reader(self._servers, topic, partition, start)
        try:
            found = reader.read(end)
        except BaseException:
            reader.close()
            raise
        replaced = self._open.pop((topic, partition, reader.next), None)
        if replaced is not None:
            replaced.close()
        self._open[topic, partition, reader.next] = reader
        if reader.next == start:
            return None
        return Stretch((topic, partition), start, reader.next, [_record(one) for one in found])

    def _first_since(self, topic: str, partition: int, since: float) -> int:
        if self._asking is None:
            self._asking = new_consumer(self._servers)
        place = TopicPartition(topic, partition, int(since * 1000))
        # The end first: what comes between the two questions is after it, and counts as later.
        _, end = self._asking.get_watermark_offsets(place, timeout=_PATIENCE)
        (found,) = self._asking.offsets_for_times([place], timeout=_PATIENCE)
        return int(end if found.offset < 0 else found.offset)


def _record(message: Message) -> Read:
    return Read(
        message.topic(),
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers() or [],
    )


class _Reader:
    """Reads one partition, forward only: a consumer that is sent elsewhere is slower than a new one."""

    def __init__(self, servers: str, topic: str, partition: int, start: int) -> None:
        self.next = start
        self._ahead: Message | None = None
        self._consumer: Consumer = new_consumer(servers, ahead_kb=1_024)
        # Asking first has the client learn the partition's leader at once, and not a second later.
        place = TopicPartition(topic, partition, start)
        first, _ = self._consumer.get_watermark_offsets(place, timeout=_PATIENCE)
        if first > start:  # what was never begun is given up long before this, see `Tenure`
            log.error("inbox-past-retention", topic=topic, partition=partition, missing=first - start)
        self._consumer.assign([place])

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
