"""The way in for HL7 v2 over MLLP: keep the bytes, then acknowledge. One port per listening instance."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from prometheus_client import Counter

from hub.gateway.webhooks import INSTANCE_LABEL
from hub.sdk.errors import Reject
from hub.sdk.fleet import Fleet
from hub.sdk.hl7 import Fault, Framer, Message, Unframed, acknowledgement, framed
from hub.sdk.listener import ListenerSettings, ListenerSource
from hub.stream.conditions import Conditions
from hub.stream.ingest import Ingest, KafkaAway
from hub.stream.raw import raw_output

log = structlog.get_logger()

RECEIVED = Counter(
    "hub_mllp_messages_total", "HL7 messages by instance and answer", [INSTANCE_LABEL, "answer"]
)

#: Connections of one listener at a time; for one more, the one that was silent longest is closed.
_MOST = 100

#: A sender that went without a word is found within two minutes: these, in seconds and number, where the system has
#: them.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}


@asynccontextmanager
async def listening(fleet: Fleet, ingest: Ingest, conditions: Conditions) -> AsyncIterator[dict[str, int]]:
    """All listeners of the fleet, open while the block runs; gives the port of each instance. Raises OSError."""
    doors = [
        _Door(source, ingest, conditions)
        for member in fleet.members.values()
        for source in member.sources
        if isinstance(source, ListenerSource)
    ]
    try:
        yield {door.instance: await door.open() for door in doors}
    finally:
        for door in doors:
            await door.close()


class _Door:
    """One listener. Messages of one connection are taken in their order, one at a time."""

    def __init__(self, source: ListenerSource[Any, Any], ingest: Ingest, conditions: Conditions) -> None:
        self._conditions = conditions
        self.instance = source.instance.name
        self._source = source
        self._ingest = ingest
        self._server: asyncio.Server | None = None
        #: The one that was silent longest comes first.
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def open(self) -> int:
        """Listen; gives the port."""
        settings = self._settings
        # Shared, so that the next gateway listens before this one ends.
        self._server = await asyncio.start_server(
            self._serve, settings.listen_host, settings.listen_port, reuse_port=True
        )
        port = int(self._server.sockets[0].getsockname()[1])
        log.info("mllp-listens", instance=self.instance, port=port)
        return port

    async def close(self) -> None:
        """Stop listening, and let go of who is connected: what is not acknowledged comes again."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def _settings(self) -> ListenerSettings:
        config = self._source.config
        if not isinstance(config, ListenerSettings):
            raise TypeError(f"the Config of {self._source!r} is no ListenerSettings")
        return config

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        task = asyncio.current_task()
        assert task is not None
        try:
            if peer[0] not in self._settings.allow_from:
                log.warning("mllp-refused", instance=self.instance, address=peer[0])
                return
            if len(self._connections) >= _MOST:
                self._let_one_go()
            self._connections[task] = writer
            _keep_alive(writer)
            await self._converse(task, reader, writer)
        except Unframed as error:
            log.warning("mllp-unframed", instance=self.instance, reason=str(error))
        except OSError:
            pass  # the sender went, or answers no more; what it was not told, it sends again
        finally:
            self._connections.pop(task, None)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _let_one_go(self) -> None:
        """Its sender, if it is still there, connects again, and sends again what was not acknowledged."""
        writer = self._connections.pop(next(iter(self._connections)))
        log.warning("mllp-let-go", instance=self.instance)
        writer.transport.abort()

    async def _converse(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        framer = Framer(self._source.largest)
        while data := await reader.read(65_536):
            if self._connections.pop(task, None):
                self._connections[task] = writer
            for body in framer.feed(data):
                writer.write(framed(await self._take(body)))
                await writer.drain()

    async def _take(self, body: bytes) -> bytes:
        """The acknowledgement: positive only when the bytes are in Kafka on every in-sync replica."""
        source, fault, later = self._source, None, False
        raw_id = ""
        try:
            message = Message.parse(body)
            source.check(message)
            raw_id = source.raw_id(body, message)
            await self._ingest.put(raw_output(source, raw_id, source.raw_key(body, message), body, {}))
            self._conditions.good(source, event=True)
        except Reject as reject:
            fault = source.fault(reject)
            self._conditions.bad(source, reject.reason)
            log.info("mllp-rejected", instance=self.instance, reason=reject.reason)
        except KafkaAway as away:
            fault, later = Fault("207", "", str(away)), True
        RECEIVED.labels(self.instance, "later" if later else "rejected" if fault else "accepted").inc()
        control_id = raw_id.replace("-", "")[:20] or "0"
        return acknowledgement(body, source.clock.now(), control_id, fault, later)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
