"""Instances at work: whoever holds a source's partition of `hub.connectors` runs it, and nobody else.

What a round lands and how far it got commit in one transaction, fenced by the group: a worker that dies or is
overtaken leaves neither a gap nor a repeat. What the kinds of sources do in a round is in `polling`, `filing`,
`registers` and `mailing`.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from time import monotonic, time
from typing import Any, Protocol

import msgspec
import structlog

from hub.sdk.connector import Connector
from hub.sdk.errors import HubError, Retry, Stop
from hub.sdk.limits import LONGEST_PAUSE_S
from hub.stream import failpoints, topics
from hub.stream.conditions import Oversight
from hub.stream.reading import KafkaLog, Log
from hub.stream.records import Batch, Fence, Output, Place, Positions
from hub.stream.transactions import Transactor

log = structlog.get_logger()

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0

_UNWRITTEN = "what came is not in Kafka yet, which takes no transaction"


class Cursor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a source stands, as kept in `hub.connectors`: the kind's own cursor, and when that was written, in
    epoch seconds, 0 for never. `over` says that a round ended with it, and the next has its time."""

    cursor: str | None = None
    polled_at: float = 0
    over: bool = False


@dataclass(slots=True)
class Health:
    """How a poller gets on. `good_at` and `next_at` in epoch seconds, 0 for never; `through_by` as `monotonic`.

    `failing_since`, in epoch seconds, is when the first of the failures in a row came, 0 while there is none.
    """

    good_at: float = 0.0
    failing_since: float = 0.0
    next_at: float = 0.0
    error: str = ""
    halted: bool = False
    through_by: float = inf


class Fenced(Exception):
    """The group has moved on: what was to be committed is somebody else's now."""


class Work(Protocol):
    """What one source of one instance does while its partition is ours. Raises as connectors do."""

    @property
    def connector(self) -> Connector[Any]:
        """Whose work it is."""

    @property
    def patience(self) -> float:
        """How many seconds a round may take without `Desk.progress` or a commit; then it is begun again later."""

    async def begin(self, desk: Desk) -> float:
        """The partition is ours, and `desk` holds what is committed; gives how many seconds to wait for a round."""

    async def round(self, desk: Desk) -> float:
        """One round; gives how many seconds to wait for the next, 0 for none."""

    async def end(self) -> None:
        """It is not ours any more, or the worker stops."""


class Host(Protocol):
    """What a desk stands on: `Instances`, or in tests something in memory."""

    health: dict[str, Health]
    log: Log

    async def commit(self, outputs: list[Output], place: Place) -> bool:
        """Write, as the holder of a partition. False when it is not ours any more."""

    async def in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        """Run what blocks."""


class Desk:
    """Where a work finds what is committed, and commits. Made anew whenever a partition becomes ours."""

    def __init__(self, key: str, partition: int, host: Host) -> None:
        self.key = key
        self.partition = partition
        self.state = Cursor()
        self.notes: dict[str, bytes] = {}
        self.brought = False  # whether anything was landed since this was last set
        self._host = host
        self._limit: asyncio.Timeout | None = None
        self._patience = 0.0

    @property
    def health(self) -> Health:
        """As the watchdog sees it."""
        return self._host.health.setdefault(self.key, Health())

    async def load(self) -> None:
        """Read what is committed: the cursor, and notes, which are records of their own under `key#name`."""
        self.state, self.notes = await self._host.in_thread(self._stored)

    def _stored(self) -> tuple[Cursor, dict[str, bytes]]:
        state, notes, mine = Cursor(), dict[str, bytes](), self.key.encode()
        for message in self._host.log.read(topics.CONNECTORS, self.partition):
            key, value = message.key(), message.value()
            if key == mine and value:
                state = msgspec.json.decode(value, type=Cursor)
            elif key.startswith(mine + b"#"):
                name = key[len(mine) + 1 :].decode()
                if value is None:
                    notes.pop(name, None)
                else:
                    notes[name] = value
        return state, notes

    async def commit(
        self,
        outputs: Iterable[Output],
        cursor: str | None,
        notes: Mapping[str, bytes | None] | None = None,
        *,
        over: bool = False,
    ) -> None:
        """Land `outputs` and note the new cursor, and `notes` (None takes one away). Raises Fenced.

        `over` is as in `Cursor`. Takes as long as Kafka does; then the round's time begins anew.
        """
        landed = list(outputs)
        brought = bool(landed)
        state = Cursor(cursor=cursor, polled_at=time(), over=over)
        for name, value in (notes or {}).items():
            landed.append(Output(topics.CONNECTORS, f"{self.key}#{name}".encode(), value, [], self.partition))
        landed.append(
            Output(topics.CONNECTORS, self.key.encode(), msgspec.json.encode(state), [], self.partition)
        )
        if not await self._unhurried(self._host.commit(landed, (topics.CONNECTORS, self.partition))):
            raise Fenced
        self.state, self.brought = state, self.brought or brought
        for name, value in (notes or {}).items():
            if value is None:
                self.notes.pop(name, None)
            else:
                self.notes[name] = value

    async def _unhurried(self, commit: Coroutine[Any, Any, bool]) -> bool:
        """A commit's result. It goes on in its thread whoever waits: what gave it up would be landed once more."""
        if self._limit is not None:
            self._limit.reschedule(None)
        health = self.health
        health.through_by = inf
        telling = asyncio.get_running_loop().call_later(self._patience, setattr, health, "error", _UNWRITTEN)
        try:
            done = await commit
        finally:
            telling.cancel()
        self.progress()
        return done

    async def within(self, patience: float, round_: Coroutine[Any, Any, float]) -> float:
        """A round's result. Raises TimeoutError when it took longer than `patience` without progress."""
        self.expect(0, patience)
        async with asyncio.timeout(patience) as self._limit:
            return await round_

    def progress(self) -> None:
        """The round under way got on: its time begins anew."""
        if self._limit is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._patience)
        self.expect(0)

    async def rest(self, wait: float) -> None:
        """Until the next round begins, in `wait` seconds."""
        self.expect(wait)
        if wait:
            await asyncio.sleep(wait)

    def expect(self, wait: float, patience: float | None = None) -> None:
        """The next round begins in `wait` seconds, and takes up to `patience`, as before if not given."""
        self._patience = self._patience if patience is None else patience
        self.health.next_at = time() + wait
        self.health.through_by = monotonic() + wait + self._patience


class Instances:
    """Runs the works whose partition of `hub.connectors` this worker holds."""

    name = "poll"

    def __init__(
        self,
        works: Mapping[str, Work],
        partitions: int,
        transactor: Transactor,
        fence: Callable[[], tuple[Fence, Positions]],
        oversight: Oversight,
    ) -> None:
        self._works = dict(works)
        self._partitions = partitions
        self._transactor = transactor
        self._fence = fence
        self._controls, self._conditions = oversight.controls, oversight.conditions
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=self.name)
        self._running: dict[str, asyncio.Task[None]] = {}
        self.health: dict[str, Health] = {}
        self.log: Log = KafkaLog(transactor.servers)

    async def agent(self, stream: AsyncIterable[Batch]) -> None:
        """The topic is subscribed for its assignment; its records are read when a partition is taken over."""
        async for _ in stream:
            continue

    def partition_of(self, key: str) -> int:
        """Which partition a source belongs to."""
        return partition_of(key, self._partitions)

    async def assigned(self, partitions: Iterable[int]) -> None:
        """Begin the works of these partitions."""
        mine = set(partitions)
        for key, work in self._works.items():
            if self.partition_of(key) in mine and key not in self._running:
                self.health[key] = Health()
                self._running[key] = asyncio.create_task(self._keep(key, work), name=f"poll {key}")

    async def revoked(self) -> None:
        """End all works; what a round in flight would commit is fenced off."""
        running, self._running = list(self._running.values()), {}
        self.health = {}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def close(self) -> None:
        """End, and let the transaction under way end."""
        await self.revoked()
        await self._transactor.finish(self._thread)

    async def commit(self, outputs: list[Output], place: Place) -> bool:
        """Write, as the holder of a partition. False when it is not ours any more."""
        await failpoints.at("poll.commit")
        fence, positions = self._fence()
        if place not in positions:
            return False
        mine = {place: positions[place]}  # moves nothing: it is there to be fenced
        return bool(await self.in_thread(self._transactor.commit, outputs, mine, fence))

    async def in_thread(self, call: Callable[..., Any], *args: Any) -> Any:
        """Run what blocks on the one thread that speaks to Kafka."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    async def _keep(self, key: str, work: Work) -> None:
        """Work for as long as the partition is ours. What goes wrong on the hub's side is told, and begun again."""
        while True:
            desk = Desk(key, self.partition_of(key), self)
            try:
                desk.expect(0, work.patience)
                await desk.load()
                desk.health.good_at = desk.state.polled_at
                desk.health.through_by = inf  # a register may be large, and is read once
                await desk.rest(await work.begin(desk))
                await self._rounds(desk, work)
            except Fenced:
                # If the partition is still ours, we begin again.
                log.warning("poller-fenced", instance=key)
            except Exception:
                log.exception("poller-failed", instance=key)
                desk.health.failing_since = desk.health.failing_since or time()
            finally:
                await work.end()
            await asyncio.sleep(_FIRST_PAUSE)

    async def _rounds(self, desk: Desk, work: Work) -> None:
        instance, pause = work.connector.instance.name, _FIRST_PAUSE
        while True:
            await self._allowed(desk, instance)
            try:
                wait = await desk.within(work.patience, work.round(desk))
            except Fenced:
                raise
            except Stop as stop:
                await self._halt(desk, work, stop.reason)
                continue
            except Exception as error:  # noqa: BLE001 - one instance's fault must not stop the others
                reason = _reason(error, work.patience)
                asked = error.after if isinstance(error, Retry) else None
                wait = min(asked or pause, LONGEST_PAUSE_S)
                log.warning("poller-retries", instance=desk.key, reason=reason, seconds=round(wait, 1))
                pause = min(pause * 2, _LONGEST_PAUSE)
                desk.health.error = reason
                desk.health.failing_since = desk.health.failing_since or time()
                self._conditions.bad(work.connector, reason)
            else:
                pause = _FIRST_PAUSE
                desk.health.good_at, desk.health.error, desk.health.failing_since = time(), "", 0.0
                self._conditions.good(work.connector, event=desk.brought)
                desk.brought = False
            await desk.rest(wait)

    async def _allowed(self, desk: Desk, instance: str) -> None:
        if self._controls.of(instance).paused:
            desk.health.through_by, desk.health.failing_since = inf, 0.0
            await self._controls.until_running(instance)

    async def _halt(self, desk: Desk, work: Work, reason: str) -> None:
        """Wait for a person. A restart is one, too: whoever restarts has seen to it."""
        log.error("poller-halted", instance=desk.key, reason=reason)
        desk.health.error, desk.health.halted, desk.health.through_by = reason, True, inf
        self._conditions.bad(work.connector, reason, halted=True)
        instance = work.connector.instance.name
        await self._controls.until_running(instance, since=self._controls.of(instance))
        log.info("poller-resumed", instance=desk.key)
        desk.health.halted = False


def partition_of(key: str, partitions: int) -> int:
    """Which partition of `hub.connectors`, and of `hub.registers`, a source's key belongs to."""
    return zlib.crc32(key.encode()) % partitions


def remaining(every: float, since: float) -> float:
    """What is left of `every` seconds that began at `since`, epoch seconds; never more, whatever a clock said."""
    return min(every, max(0.0, since + every - time()))


def _reason(error: Exception, patience: float) -> str:
    if isinstance(error, HubError):
        return error.reason
    return f"no answer within {patience:.0f} s" if isinstance(error, TimeoutError) else type(error).__name__
