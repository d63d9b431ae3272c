"""What waits for a stage, and how much of it one transaction takes."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from hub.stream.records import Batch, Place

#: Bytes that wait for a stage at most, as they were fetched. Beyond, its partitions are not read on.
_ROOM = 16 << 20

#: Bytes that one transaction takes at most.
_BITE = 8 << 20

#: Seconds of a stage's work that go into a transaction over a flood. Its outputs wait for so long, and as much is
#: done again if it fails; on the other hand each costs some eight milliseconds whatever it covers. How long Kafka
#: takes to commit it does not count: where that is long, smaller ones would only be more.
_AIM = 0.25

_LEAST, _MOST = 10, 16_000  # records, of which one of the journal may have thousands of entries
_WORTH = 1_000  # records that are worth a transaction


class Backlog:
    """Batches in order, bounded in bytes. `limit` is how many records are taken at once."""

    def __init__(self) -> None:
        self.limit = _WORTH
        self._batches: deque[Batch] = deque()
        self._size = 0
        self._full = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._batches)

    def holds(self, place: Place) -> bool:
        """Whether batches of a partition wait here, or may wait to get in. From any thread."""
        return self._full or any(batch.place == place for batch in list(self._batches))

    async def put(self, batch: Batch) -> None:
        """Join the end in pieces that fit a transaction, each waiting for room. One has room whatever its size."""
        for piece in batch.pieces(min(self.limit, _WORTH)):
            while self._batches and self._size + piece.size > _ROOM:
                self._full = True
                await self._wait()
            self._full = False
            self._batches.append(piece)
            self._size += piece.size
            self._changed.set()

    async def take(self, linger: float = 0.0) -> list[Batch]:
        """All that waits, but no more than one transaction is to take.

        Waits for the first, and up to `linger` seconds until there are enough to be worth it. A flood, whose every
        fetch is enough, is never kept waiting.
        """
        while not self._batches:
            await self._wait()
        if linger:
            with suppress(TimeoutError):
                async with asyncio.timeout(linger):
                    while sum(len(batch.records) for batch in self._batches) < _WORTH:
                        await self._wait()
        taken: list[Batch] = []
        records = size = 0
        while self._batches and (not taken or size < _BITE):
            records += len(self._batches[0].records)
            if taken and records > self.limit:
                break
            batch = self._batches.popleft()
            taken.append(batch)
            size += batch.size
        self._size -= size
        self._changed.set()
        return taken

    def learn(self, records: int, seconds: float) -> None:
        """The work of a transaction over so many records took so many seconds."""
        if seconds > 2 * _AIM:
            self.limit = max(_LEAST, min(self.limit, records) // 2)
        elif 2 * records > self.limit and seconds < _AIM:
            self.limit = min(_MOST, self.limit * 2)

    async def _wait(self) -> None:
        self._changed.clear()
        await self._changed.wait()
