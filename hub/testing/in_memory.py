"""Kafka's part in a contract test, in memory: what is committed, and workers that die around a commit."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.sdk.connector import Source
from hub.stream import topics
from hub.stream.instances import Desk, Health
from hub.stream.pulling import work_of
from hub.stream.raw import RAW_ID, attributes_of
from hub.stream.reading import Log
from hub.stream.records import Headers, Output
from hub.testing.contract import Raw


class Died(Exception):
    """The worker was killed here."""


@dataclass(frozen=True, slots=True)
class _Stored:
    """A record, as a client gives it."""

    output: Output

    def key(self) -> bytes:
        return self.output.key

    def value(self) -> bytes | None:
        return self.output.value

    def headers(self) -> Headers:
        return self.output.headers


class InMemory:
    """Topics of one partition, and the desk that works stand at. It outlives workers.

    `die` has the worker die at its next commit: `before` it is through or `after`.
    """

    def __init__(self) -> None:
        self.health: dict[str, Health] = {}
        self.log: Log = self
        self.die = ""
        self._topics: defaultdict[str, list[_Stored]] = defaultdict(list)

    async def commit(self, outputs: list[Output], place: tuple[str, int]) -> bool:
        """All or none."""
        if self.die == "before":
            raise Died
        for output in outputs:
            self._topics[output.topic].append(_Stored(output))
        if self.die == "after":
            raise Died
        return True

    async def in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        """On another thread."""
        return await asyncio.to_thread(call, *args)

    def read(self, topic: str, partition: int, start: int = 0) -> Iterator[_Stored]:
        """What is committed."""
        return iter(self._topics[topic][start:])

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """From the first."""
        return 0, len(self._topics[topic])

    def landed(self, source: Source[Any, Any]) -> list[Raw]:
        """The raw records of a connector."""
        return [
            Raw(
                one.value() or b"",
                attributes_of(one.headers()),
                one.key().decode(),
                dict(one.headers())[RAW_ID].decode(),
            )
            for one in self._topics[topics.raw(source.instance.connector)]
        ]


async def drive(source: Source[Any, Any], memory: InMemory, folder: Path, rounds: int = 1_000) -> None:
    """Have a worker of its own run a source until it has nothing to do. Raises what a round raises, and Died."""
    work = work_of(source, memory.log, 0, folder)
    assert work is not None, f"{source!r} is not run by a worker"
    desk = Desk(source.key, 0, memory)
    try:
        await desk.load()
        if await work.begin(desk):
            return
        for _ in range(rounds):
            if await desk.within(work.patience, work.round(desk)):
                return
        raise AssertionError(f"still at work after {rounds} rounds")
    finally:
        await work.end()
