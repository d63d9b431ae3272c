"""The server's patience with clients: a request has to arrive whole in time, and connections are not without number."""

from __future__ import annotations

import asyncio
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_MANY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


def patient(seconds: float, connections: int) -> type[asyncio.Protocol]:
    """uvicorn's protocol, but that it cuts off what has not sent a whole request `seconds` after it began to.

    uvicorn has such a limit only between requests. Connections beyond `connections` are turned away unread.
    """

    class Patient(HttpToolsProtocol):
        _late: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > connections:
                transport.write(_TOO_MANY)
                transport.close()
            else:
                self._expect()

        def data_received(self, data: bytes) -> None:
            if self._late is None:
                self._expect()
            super().data_received(data)

        def on_message_begin(self) -> None:
            if self._late is None:
                self._expect()
            super().on_message_begin()

        def on_message_complete(self) -> None:
            self._arrived()
            super().on_message_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._arrived()
            super().connection_lost(exc)

        def _expect(self) -> None:
            self._late = self.loop.call_later(seconds, self.transport.abort)

        def _arrived(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

    return Patient


def allow_files() -> int:
    """Let this process have as many open files, connections among them, as the system allows; how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else hard
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)
