"""An HL7 v2 system of a partner: it listens for messages, acknowledges them, and sends its own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, ClassVar

from hub.sdk.clock import Clock
from hub.sdk.hl7 import Fault, Framer, Message, Unframed, acknowledgement, framed
from hub.sdk.serving import in_thread


class MllpPeer:
    """Answers `AA` to whatever it gets, unless the day is bad; keeps what it took in `messages`.

    A repeat, by MSH-3, MSH-4 and MSH-10, is acknowledged and not kept again. Faults: `AE` and `AR` in place of
    `AA`, `silent` (taken, no answer), `cut` (taken, then hangs up), `split` (the answer in single bytes).
    """

    bad_days: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "messages refused": {"AE": 1.0},
        "out of order": {"AR": 1.0},
        "no answers": {"silent": 1.0},
        "broken connections": {"cut": 0.5},
        "answers in pieces": {"split": 1.0},
    }

    def __init__(self, clock: Clock | None = None, seed: int | None = None) -> None:
        self.clock = clock or Clock()
        self.random = random.Random(seed)  # noqa: S311 - faults must be repeatable, not secret
        self.faults: dict[str, float] = {}
        self.messages: list[Message] = []
        self.received = 0
        self.port = 0
        self._known: set[tuple[str, ...]] = set()

    def config(self) -> dict[str, Any]:
        """Settings with which a connector finds this peer."""
        return {"peer_host": "127.0.0.1", "peer_port": self.port}

    def have(self, day: str) -> None:
        """Begin one of `bad_days`; `a good day` ends it."""
        self.faults = {} if day == "a good day" else dict(self.bad_days[day])

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[int]:
        """Listen on the loopback; gives the port."""
        server = await asyncio.start_server(self._converse, "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self.port

    @contextmanager
    def running(self, port: int = 0) -> Iterator[int]:
        """The same from a thread."""
        with in_thread(lambda: self.serve(port)) as listening:
            yield listening

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = Framer()
        with suppress(OSError, Unframed, asyncio.CancelledError):
            while data := await reader.read(65_536):
                for message in framer.feed(data):
                    if not await self._answer(message, writer):
                        return
        writer.close()

    async def _answer(self, message: bytes, writer: asyncio.StreamWriter) -> bool:
        fault = next((name for name, share in self.faults.items() if self.random.random() < share), "")
        self.received += 1
        if fault not in ("AE", "AR"):
            self._keep(Message.parse(message))
        if fault == "silent":
            return True
        if fault == "cut":
            writer.close()
            return False
        wrong = (
            Fault("207", "MSH-10", "the simulated system has a bad day") if fault in ("AE", "AR") else None
        )
        answer = framed(
            acknowledgement(message, self.clock.now(), f"ACK{self.received}", wrong, later=fault == "AR")
        )
        for piece in (answer[at : at + 1] for at in range(len(answer))) if fault == "split" else (answer,):
            writer.write(piece)
            await writer.drain()
        return True

    def _keep(self, message: Message) -> None:
        identity = tuple(message.get(place) for place in ("MSH-3", "MSH-4", "MSH-10"))
        if identity not in self._known:
            self._known.add(identity)
            self.messages.append(message)


async def send(host: str, port: int, data: bytes, answers: int, patience_s: float = 10.0) -> list[Message]:
    """Write bytes to a listener, frames and all, and read so many acknowledgements."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(data)
        await writer.drain()
        framer, told = Framer(), list[Message]()
        async with asyncio.timeout(patience_s):
            while len(told) < answers and (more := await reader.read(65_536)):
                told += [Message.parse(reply) for reply in framer.feed(more)]
        return told
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
