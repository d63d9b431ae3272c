"""The server's patience with clients: a request has to arrive whole in time, its head and connections have limits."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"

#: Bytes of a head, or of what follows a body in chunks, beyond those of the read in which it begins.
_LARGEST_HEAD = 64 << 10


class Patient(HttpToolsProtocol):
    """uvicorn's protocol, but that it cuts off what has not sent a whole request `seconds` after it began to.

    uvicorn has such a limit only between requests, and none of the length of a head. Connections beyond `most` are
    turned away unread.
    """

    seconds: ClassVar[float]
    most: ClassVar[int]
    _late: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.write(_TOO_MANY)
            transport.close()
        else:
            self._expect()

    def data_received(self, data: bytes) -> None:
        if self._late is None:
            self._expect()
        self._head += len(data)
        super().data_received(data)
        if self._head > _LARGEST_HEAD and not self.transport.is_closing():
            if self.cycle is None or self.cycle.response_complete:
                self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        self._head = 0
        if self._late is None:
            self._expect()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._head = 0
        self._arrived()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def _expect(self) -> None:
        self._late = self.loop.call_later(self.seconds, self.transport.abort)

    def _arrived(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


def patient(seconds: float, most: int) -> type[asyncio.Protocol]:
    """The protocol with these limits."""
    return type("Limited", (Patient,), {"seconds": seconds, "most": most})
