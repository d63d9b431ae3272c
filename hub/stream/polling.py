"""Polling sources at work: whoever holds an instance's partition asks; page and cursor commit together."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from time import monotonic, time
from typing import Any

import msgspec
import structlog

from hub.delivery.dead_letter import DeadLetter
from hub.events.ids import derive
from hub.events.kafka import header
from hub.sdk.errors import HubError, Retry, Stop
from hub.sdk.fleet import Fleet
from hub.sdk.polling import Page, PollingSource
from hub.stream import failpoints, topics
from hub.stream.reading import read_all
from hub.stream.records import MAX_BYTES, Batch, Fence, Output, Positions, Read, Record
from hub.stream.stage import dead_letter_outputs
from hub.stream.transactions import Transactor
from hub.stream.translate import INSTANCE, RAW_ID, SOURCE

log = structlog.get_logger()

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0

_LARGEST = MAX_BYTES - (64 << 10)  # bytes of an item, with room for what later copies of it carry besides


class Cursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a poller stands, as kept in `hub.connectors`: the cursor, its health in the system's own words."""

    cursor: str | None = None
    polled_at: float = 0
    error: str = ""
    halted: bool = False


@dataclass(slots=True)
class Health:
    """How a poller gets on. `good_at` and `next_at` in epoch seconds, 0 for never; `through_by` as `monotonic`."""

    good_at: float = 0.0
    next_at: float = 0.0
    error: str = ""
    halted: bool = False
    through_by: float = inf


class Polling:
    """Runs the pollers whose partition of `hub.connectors` this worker holds."""

    name = "poll"

    def __init__(
        self,
        fleet: Fleet,
        partitions: int,
        transactor: Transactor,
        fence: Callable[[], tuple[Fence, Positions]],
    ) -> None:
        self._sources: dict[str, PollingSource[Any, Any]] = {
            f"{member.instance.name}/{source.name}": source
            for member in fleet.members.values()
            for source in member.pollers
        }
        self._partitions = partitions
        self._transactor = transactor
        self._fence = fence
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=self.name)
        self._running: dict[str, asyncio.Task[None]] = {}
        self.health: dict[str, Health] = {}

    async def agent(self, stream: AsyncIterable[Batch]) -> None:
        """The topic is subscribed for its assignment; its records are read when a partition is taken over."""
        async for _ in stream:
            continue

    def partition_of(self, key: str) -> int:
        """Which partition an instance's source belongs to."""
        return zlib.crc32(key.encode()) % self._partitions

    async def assigned(self, partitions: Iterable[int]) -> None:
        """Start the pollers of these partitions."""
        mine = set(partitions)
        for key, source in self._sources.items():
            if self.partition_of(key) in mine and key not in self._running:
                self.health[key] = Health()
                self._running[key] = asyncio.create_task(self._keep(key, source), name=f"poll {key}")

    async def revoked(self) -> None:
        """Stop all pollers; what a page in flight would commit is fenced off."""
        running, self._running = list(self._running.values()), {}
        self.health = {}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def close(self) -> None:
        """Stop, and let the transaction under way end."""
        await self.revoked()
        await self._transactor.finish(self._thread)

    async def _keep(self, key: str, source: PollingSource[Any, Any]) -> None:
        """Poll for as long as the partition is ours. What goes wrong on the hub's side is told, and begun again."""
        while True:
            try:
                if await self._poll(key, source):
                    return
            except Exception:
                log.exception("poller-failed", instance=key)
            await asyncio.sleep(_FIRST_PAUSE)

    async def _poll(self, key: str, source: PollingSource[Any, Any]) -> bool:
        """True when it is over for good, False when it is to begin again from what is committed."""
        health, patience = self.health[key], source.patience.total_seconds()
        _expect(health, 0, patience)
        state = await self._in_thread(self._stored, key)
        health.good_at, pause = state.polled_at, _FIRST_PAUSE
        while True:
            _expect(health, 0, patience)
            try:
                async with asyncio.timeout(patience):
                    page = await source.fetch(state.cursor)
            except Stop as stop:
                log.error("poller-halted", instance=key, reason=stop.reason)
                health.error, health.halted = stop.reason, True
                halted = msgspec.structs.replace(state, error=stop.reason, halted=True)
                await self._commit(key, [], halted)
                return True
            except Exception as error:  # noqa: BLE001 - one instance's fault must not stop the others
                reason = _reason(error, patience)
                wait = (error.after if isinstance(error, Retry) else None) or pause
                log.warning("poller-retries", instance=key, reason=reason, seconds=round(wait, 1))
                pause = min(pause * 2, _LONGEST_PAUSE)
                health.error = reason
                _expect(health, wait, patience)
                await asyncio.sleep(wait)
                continue
            pause = _FIRST_PAUSE
            state = Cursor(cursor=page.next, polled_at=time())
            if not await self._commit(key, self._raw(source, page), state):
                log.warning("poller-fenced", instance=key)
                return False  # the group has moved on: if the partition is still ours, we begin again
            health.good_at, health.error = state.polled_at, ""
            if not page.more:
                wait = source.instance.poll_every_s or source.every.total_seconds()
                _expect(health, wait, patience)
                await asyncio.sleep(wait)

    def _raw(self, source: PollingSource[Any, Any], page: Page) -> list[Output]:
        outputs = []
        topic = topics.raw(source.instance.connector)
        for item in page.items:
            body = json.dumps(item, separators=(",", ":")).encode()
            key = source.raw_key(item, body).encode()
            headers = [
                (RAW_ID, source.raw_id(item, body).encode()),
                (INSTANCE, source.instance.name.encode()),
                (SOURCE, source.name.encode()),
            ]
            if len(body) > _LARGEST:
                outputs += _too_large(Read(topic, -1, -1, 0, key, b"", headers), len(body), source)
            else:
                outputs.append(Output(topic, key, body, headers))
        return outputs

    async def _commit(self, key: str, outputs: list[Output], state: Cursor) -> bool:
        await failpoints.at("poll.commit")
        fence, positions = self._fence()
        partition = self.partition_of(key)
        kept = Output(topics.CONNECTORS, key.encode(), msgspec.json.encode(state), [], partition)
        place = (topics.CONNECTORS, partition)
        if place not in positions:
            return False
        mine = {place: positions[place]}  # moves nothing: it is there to be fenced
        return bool(await self._in_thread(self._transactor.commit, [*outputs, kept], mine, fence))

    def _stored(self, key: str) -> Cursor:
        state = Cursor()
        for message in read_all(self._transactor.servers, topics.CONNECTORS, self.partition_of(key)):
            if message.key() == key.encode() and message.value():
                state = msgspec.json.decode(message.value(), type=Cursor)
        # A halt ends with a restart: whoever restarts has seen to it.
        return Cursor(cursor=state.cursor, polled_at=state.polled_at)

    async def _in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)


def _expect(health: Health, wait: float, patience: float) -> None:
    """The next poll begins in `wait` seconds, and takes up to `patience`."""
    health.next_at = time() + wait
    health.through_by = monotonic() + wait + patience


def _reason(error: Exception, patience: float) -> str:
    if isinstance(error, HubError):
        return error.reason
    return f"no answer within {patience:.0f} s" if isinstance(error, TimeoutError) else type(error).__name__


def _too_large(record: Record, size: int, source: PollingSource[Any, Any]) -> list[Output]:
    """What says that an item is more than Kafka takes: the source has it still."""
    raw_id = header(record.headers, RAW_ID)
    letter = DeadLetter(
        stage="poll",
        reason=f"an item of {size} bytes, where {_LARGEST} are taken",
        reason_class="too-large",
        id=derive("dead-letter", raw_id, "poll"),
        at=time(),
        event_id=raw_id,
        party=source.instance.party,
        source=source.instance.source,
        connector=source.instance.connector,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        attempts=1,
    )
    return dead_letter_outputs(record, letter)
