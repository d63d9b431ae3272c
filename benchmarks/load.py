"""A sender of prepared HTTP requests that costs little: on two cores it must not be what it measures."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any
from urllib.parse import urlsplit

import httptools


@dataclass(slots=True)
class Sent:
    """Of each request, in order: when it was to go and when its answer was there (monotonic seconds); the status."""

    intended: list[float]
    answered: list[float] = field(default_factory=list)
    status: list[int] = field(default_factory=list)
    latest: float = 0.0
    """How late the latest of them went, seconds."""


class _Line(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self, answered: Callable[[_Line, int], None]) -> None:
        self._answered = answered
        self._parser = httptools.HttpResponseParser(self)
        self.transport: Any = None
        self.number = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        self._answered(self, status)

    def connection_lost(self, _: Exception | None) -> None:
        self._answered(self, 0)

    def send(self, number: int, request: bytes) -> None:
        self.number = number
        self.transport.write(request)


class Sender:
    """Sends requests to one address over as many connections as it takes, up to `most`."""

    def __init__(self, address: str, most: int = 64) -> None:
        parts = urlsplit(address)
        self._place = (parts.hostname or "", parts.port or 80)
        self._most = most
        self._free: deque[_Line] = deque()
        self._lines: list[_Line] = []

    async def connect(self, lines: int) -> None:
        """Open so many connections ahead."""
        loop = asyncio.get_running_loop()
        while len(self._lines) < lines:
            _, line = await loop.create_connection(lambda: _Line(self._answered), *self._place)
            self._lines.append(line)
            self._free.append(line)

    async def at_times(self, requests: Sequence[bytes], offsets: Sequence[float]) -> Sent:
        """Open loop: request n goes at its own time, `offsets[n]` seconds from now, whatever became of the others.

        Where no connection is free one waits for the next; its time keeps counting.
        """
        await self.connect(self._most)
        self._begin(requests)
        start = time.monotonic() + 0.05
        self._sent = Sent([start + offset for offset in offsets], *_places(len(requests)))
        for number, due in enumerate(self._sent.intended):
            if (early := due - time.monotonic()) > 0:
                await asyncio.sleep(early)
            self._waiting.append(number)
            self._go()
            self._sent.latest = max(self._sent.latest, time.monotonic() - due)
        await self._all
        return self._sent

    async def at_once(self, requests: Sequence[bytes], lines: int) -> Sent:
        """Closed loop: so many at a time, the next as soon as one is answered."""
        await self.connect(lines)
        self._begin(requests)
        self._sent = Sent([0.0] * len(requests), *_places(len(requests)))
        self._waiting.extend(range(len(requests)))
        self._go(lines)
        await self._all
        return self._sent

    def close(self) -> None:
        """Close all connections."""
        for line in self._lines:
            line.transport.close()

    def _begin(self, requests: Sequence[bytes]) -> None:
        self._requests = requests
        self._left = len(requests)
        self._waiting: deque[int] = deque()
        self._all = asyncio.get_running_loop().create_future()

    def _go(self, lines: int | None = None) -> None:
        while self._waiting and self._free and lines != 0:
            number = self._waiting.popleft()
            if not self._sent.intended[number]:
                self._sent.intended[number] = time.monotonic()
            self._free.popleft().send(number, self._requests[number])
            lines = None if lines is None else lines - 1

    def _answered(self, line: _Line, status: int) -> None:
        if line.number < 0:  # an idle connection that was closed
            self._free.remove(line)
            return
        self._sent.answered[line.number] = time.monotonic()
        self._sent.status[line.number] = status
        line.number = -1
        if status:
            self._free.append(line)
        self._left -= 1
        if self._left == 0:
            self._all.set_result(None)
        self._go(1)


def _places(count: int) -> tuple[list[float], list[int]]:
    return [0.0] * count, [0] * count


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Times from zero on at which events of independent senders come, `rate` a second on average."""
    draw = random.Random(seed)  # noqa: S311 - nothing is secret here
    return list(accumulate(draw.expovariate(rate) for _ in range(round(rate * seconds))))
