"""A stand-in for a hospital's system that speaks HL7 v2 over MLLP, as a sender and as a receiver."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import ClassVar
from urllib.parse import urlsplit

from hub.sdk.clock import Clock
from hub.sdk.errors import Reject
from hub.sdk.hl7 import Fault, Framer, Message, acknowledgement, framed
from hub.sdk.simulator import CUT, HANG, LOST, Listener, Simulator

#: Faults of a receiver: a negative acknowledgement, for the message's fault, in prose, or for its own.
AE, PROSE, AR = "AE", "prose", "AR"


class MllpSimulator(Simulator):
    """Takes messages at `mllp_port`, and sends them with `send`.

    `taken` are the messages that it accepted, repeats included; `effects` counts them by MSH-10, once for a
    repeat. Faults, per message taken: `AE`, `prose` (the same, with words about the person in place of codes), `AR`,
    `hang` (no answer), `cut` (half an answer), `lost answer`.
    """

    bad_days: ClassVar[dict[str, dict[str, float]]] = {
        "messages refused": {AE: 1.0},
        "refusals in prose": {PROSE: 1.0},
        "system busy": {AR: 1.0},
        "no answers": {HANG: 1.0},
        "half answers": {CUT: 1.0},
        "answers lost": {LOST: 1.0},
        "some answers lost": {LOST: 0.3, AR: 0.2},
    }

    def __init__(self, clock: Clock | None = None, seed: int | None = None) -> None:
        super().__init__(clock, seed)
        self.mllp_port = 0
        self.taken: list[bytes] = []

    def listeners(self) -> list[Listener]:
        """MLLP."""
        return [self.serve_mllp]

    def messages(self) -> list[bytes]:
        """One of every kind that the system sends."""
        raise NotImplementedError

    def produce(self) -> int:
        """Send `messages` to `webhook_url`, `mllp://host:port`."""
        messages, where = self.messages(), urlsplit(self.webhook_url)
        self.spawn(_told(where.hostname or "127.0.0.1", where.port or 0, messages))
        return len(messages)

    def effects(self) -> Counter[str]:
        """Each message once: a repeat is known by its control id."""
        return Counter({Message.parse(one).get("MSH-10"): 1 for one in self.taken})

    @asynccontextmanager
    async def serve_mllp(self, port: int) -> AsyncIterator[str]:
        """The receiver, at `mllp_port`."""
        # Connections are work of its own, which ends before its listeners do.
        server = await asyncio.start_server(lambda *both: self._start(self._serve(*both)), "127.0.0.1", port)
        try:
            self.mllp_port = int(server.sockets[0].getsockname()[1])
            yield f"mllp://127.0.0.1:{self.mllp_port}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framer = Framer()
        try:
            while data := await reader.read(65_536):
                for body in framer.feed(data):
                    if not await self._take(body, writer):
                        return
        except (ConnectionError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def _take(self, body: bytes, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        fault = self.draw(AE, PROSE, AR, HANG, CUT, LOST)
        if fault == HANG:
            await asyncio.Event().wait()
        refusal = {
            AE: Fault("103", "PID-3", "not known"),
            PROSE: Fault("Ada Lindqvist has left us", "LINDQVIST", "Ada Lindqvist, 14 Orchard Row"),
            AR: Fault("207", "", "busy"),
        }.get(fault)
        if refusal is None:
            self.taken.append(body)
        answer = framed(self.answer(body, refusal, later=fault == AR))
        if fault == LOST:
            return False
        writer.write(answer[: len(answer) // 2] if fault == CUT else answer)
        await writer.drain()
        return fault != CUT

    def answer(self, body: bytes, fault: Fault | None, later: bool) -> bytes:
        """What it replies: an acknowledgement; a subclass may reply in full."""
        control_id = f"{self.random.getrandbits(60):x}"
        return acknowledgement(body, self.clock.now(), control_id, fault, later)


async def _told(host: str, port: int, messages: Sequence[bytes]) -> None:
    """Send, and leave it to the sender's next round where the receiver is away."""
    with suppress(OSError):
        await send(host, port, messages)


async def send(host: str, port: int, messages: Sequence[bytes]) -> list[Message]:
    """Send messages over one connection, each after the answer to the one before; gives the answers."""
    reader, writer = await asyncio.open_connection(host, port)
    framer, answers = Framer(), list[Message]()
    try:
        for number, message in enumerate(messages, start=1):
            writer.write(framed(message))
            await writer.drain()
            while len(answers) < number:
                data = await reader.read(65_536)
                if not data:
                    raise ConnectionResetError("the receiver hung up")
                answers += _parsed(framer.feed(data))
    finally:
        writer.close()
    return answers


def _parsed(replies: Iterator[bytes]) -> Iterator[Message]:
    for reply in replies:
        try:
            yield Message.parse(reply)
        except Reject:
            raise ConnectionResetError("the answer is no HL7 message") from None
