"""A Faust transport that hands agents whole batches and leaves offsets to the hub's own transactions.

Faust keeps what it is good at: the app, the agents, group membership, assignment, flow control. Its
acknowledgement, commit and seek machinery loses or repeats events under failure (docs/decisions/0001), so here
one Faust message is what a fetch brought for one agent, a `Batch` per partition, Faust's commit and seek do
nothing, and reading starts where our transactions ended (`Standing`).

Registered with Faust under the entry point group `faust.transports` as `hub`: broker URL `hub://host:port`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

import aiokafka
import structlog
from aiokafka import TopicPartition, conn
from aiokafka.consumer import consumer, fetcher
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError
from confluent_kafka import KafkaException
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage
from kafka.errors import KafkaError

from hub.stream.client import CONNECTS_IN
from hub.stream.committed import committed_offsets
from hub.stream.fetched import Chunk, Chunks, Fetched
from hub.stream.pace import Occupied, Pace
from hub.stream.records import NOBODY, Batch, Fence, Place, Positions
from hub.stream.standing import Standing
from hub.stream.transactions import go_back, named
from hub.stream.verdicts import Outrun

log = structlog.get_logger()

#: Bytes that one fetch brings at most, of all partitions. Some hold it twice for a moment while it comes in.
_AT_MOST = 8 << 20

#: How long Kafka waits for more where few bytes are not worth an answer, milliseconds.
_WORTH_MS = 200


class _Records(fetcher.PartitionRecords):  # type: ignore[misc]
    """aiokafka's walk over what was fetched, which knows aborted transactions and gaps, in whole record batches."""

    def _consumer_record(self, tp: TP, chunk: Chunk) -> Chunk:
        chunk.first = self.next_fetch_offset
        return chunk


class _Fetcher(fetcher.Fetcher):  # type: ignore[misc]
    """aiokafka's fetcher, which takes its time as `hub.stream.pace` says."""

    def __init__(self, pace: Pace, occupied: Sequence[Occupied], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._pace = pace
        self._occupied = occupied

    async def _proc_fetch_request(self, assignment: Any, node_id: int, request: Any) -> bool:
        wait, request.topics[:] = self._pace.next(node_id, request.topics, self._loop.time())
        try:
            await asyncio.sleep(wait)
            for stage in self._occupied:
                await stage.over()
            return bool(await super()._proc_fetch_request(assignment, node_id, request))
        except asyncio.CancelledError:
            return False  # as aiokafka's own: who closes it waits for what he cancelled, and would end there, too


class _Connection(conn.AIOKafkaConnection):  # type: ignore[misc]
    """aiokafka's connection, which would take as long to be made as any request may."""

    async def connect(self) -> Any:
        async with asyncio.timeout(CONNECTS_IN):
            return await super().connect()


# aiokafka has no other place to say what it is to use; nothing else in a worker reads by it.
conn.AIOKafkaConnection = _Connection
fetcher.PartitionRecords = _Records
fetcher.MemoryRecords = Chunks


class _Listener(driver.ConsumerRebalanceListener):  # type: ignore[misc]  # Faust is untyped here
    """What the group coordinator tells, on the consumer's thread."""

    def on_partitions_revoked(self, revoked: Iterable[Any]) -> Awaitable[None]:
        self._thread.standing.end()
        return super().on_partitions_revoked(revoked)  # type: ignore[no-any-return]

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        thread: _ConsumerThread = self._thread
        if thread.standing.was(thread.fence):
            # A follower that joins again for nothing keeps its generation. Kafka could then not tell the batches
            # from before, which may still be committed, from those that are read again: so join as another.
            await thread._ensure_consumer()._coordinator._maybe_leave_group()
        else:
            await super().on_partitions_assigned(assigned)


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Reads in a thread of its own, on which alone `standing` changes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.standing = Standing()

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        # Range, not Faust's round robin: partition n of every topic goes to one worker, so that what belongs
        # to a subject (its state, its retries) is where its events are.
        self._assignor = RangePartitionAssignor
        consumer.Fetcher = partial(_Fetcher, Pace(self.app.seldom, self.app.gather_s), self.app.occupied)
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[RangePartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="none",  # never silently: see `begin` and `_pass_over`
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_min_bytes=self.app.fetch_min_bytes,
            fetch_max_bytes=_AT_MOST,
            fetch_max_wait_ms=500 if self.app.fetch_min_bytes == 1 else _WORTH_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            isolation_level="read_committed",
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
        )

    @property
    def fence(self) -> Fence:
        """Who we are in the group at this moment."""
        coordinator = self._ensure_consumer()._coordinator
        return Fence(self.app.conf.id, coordinator.generation, coordinator.member_id)

    async def assigned(self) -> tuple[Fence, list[Place]] | None:
        """Our membership and its partitions; None while either is about to change."""
        consumer = self._ensure_consumer()
        if consumer._subscription.reassignment_in_progress or self.fence.generation < 0:
            return None
        return self.fence, [(tp.topic, tp.partition) for tp in consumer.assignment()]

    async def begin(self, fence: Fence, positions: Positions) -> bool:
        """Go to `positions`, unless `fence` is over."""
        now = await self.assigned()
        if now is None or now[0] != fence:
            return False
        for place, offset in positions.items():
            self._ensure_consumer().seek(TopicPartition(*place), offset)
        self.standing.begin(fence, positions)
        return True

    async def fetch(self, partitions: frozenset[TP], timeout: float) -> list[Batch] | None:
        """What has come in; None where nobody has said yet where to begin."""
        if self.fence != self.standing.fence:
            return None
        consumer = self._ensure_consumer()
        fetched: Mapping[TopicPartition, list[Chunk]] = {}
        try:
            fetched = await self._fetch_records(
                consumer, partitions, timeout=timeout, max_records=consumer._max_poll_records
            )
        except NoOffsetForPartitionError:
            pass  # aiokafka looked for itself; `begin` has sought meanwhile
        except OffsetOutOfRangeError as error:
            await self._pass_over(consumer, error.args[0])
        # No await between here and the fetcher's own check of the assignment, and both run on this thread: so
        # these records belong to this generation. During a reassignment aiokafka returns none.
        fence, states = self.fence, consumer._subscription.subscription.assignment
        found = []
        for tp in states.tps if states else ():
            state, chunks = states.state_value(tp), fetched.get(tp)
            if state.has_valid_position:
                records = Fetched(tp.topic, tp.partition, chunks) if chunks else ()
                found.append(self.standing.batch(fence, (tp.topic, tp.partition), records, state.position))
        return [batch for batch in found if batch]

    async def _pass_over(self, consumer: aiokafka.AIOKafkaConsumer, asked: Mapping[Any, int]) -> None:
        """Kafka has not what was asked for: retention was quicker, or the topic was made anew."""
        fence = self.fence
        starts, ends = await consumer.beginning_offsets(asked), await consumer.end_offsets(asked)
        for tp, offset in asked.items():
            if fence == self.fence == self.standing.fence and not starts[tp] <= offset <= ends[tp]:
                lost = self.standing.pass_over((tp.topic, tp.partition), starts[tp])
                consumer.seek(tp, starts[tp])
                log.error(
                    "records-lost",
                    topic=tp.topic,
                    partition=tp.partition,
                    count=len(lost),
                    goes_on=starts[tp],
                )

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's livelock detector only logs, and judges by commits that we do not make through it."""


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer of batches."""

    RebalanceListener: ClassVar[type] = _Listener

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._room = asyncio.Event()

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def fence(self) -> Fence | None:
        """The membership whose batches may go on; None while partitions are taken back or positions unknown."""
        fence: Fence | None = self._thread.standing.fence
        return fence

    def membership(self) -> tuple[Fence, Positions]:
        """Who we are in the group, and the positions that its partitions had when they were assigned."""
        standing: Standing = self._thread.standing
        return standing.fence or NOBODY, standing.positions

    def leave(self, timeout: float = 1.0) -> None:
        """Leave the group for good, from any thread but the consumer's own; who cannot is missed a moment later."""
        closing = self._thread._ensure_consumer()._coordinator.close()
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(closing, self._thread.thread_loop).result(timeout)

    async def getmany(self, timeout: float) -> AsyncIterator[ConsumerMessage]:
        """Batches as they come: of each fetch, all that are for one agent in one message.

        In place of Faust's own, which drops what comes while partitions are paused.
        """
        if not self.flow_active:
            await self.wait(self.can_resume_flow)
        partitions = frozenset(self._get_active_partitions())  # a copy: Faust's own set changes meanwhile
        if not partitions and self.fence:
            self._room.clear()
            await self.wait(self._room, timeout=timeout)
            return
        batches = await self._thread.call_thread(self._thread.fetch, partitions, timeout)
        if batches is None:
            await self._begin()
            return
        for_agents: dict[str, list[Batch]] = defaultdict(list)
        for batch in batches:
            for_agents[self.app.agent_for[batch.topic]].append(batch)
        for together in for_agents.values():
            if together[0].fence != self.fence:
                return  # taken back; the rest will be read again
            yield self._to_message(together)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand on what comes. In place of Faust's own, which makes four tasks of every message."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                async for message in self.getmany(1.0):
                    await self.callback(message)
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def _begin(self) -> None:
        """Ask where our transactions ended, stable offsets only, which aiokafka cannot, and go there."""
        thread = self._thread
        assigned = await thread.call_thread(thread.assigned)
        if assigned is None:
            await self.sleep(0.05)
            return
        fence, places = assigned
        try:
            positions = await asyncio.to_thread(self._positions, fence, places)
        except (KafkaException, KafkaError) as error:
            log.warning("positions-unknown", error=named(error))
            await self.sleep(1)
            return
        except Outrun:
            await self.sleep(0.05)
            return
        if await thread.call_thread(thread.begin, fence, positions):
            await self.app.on_positioned(positions)

    def _positions(self, fence: Fence, places: Sequence[Place]) -> Positions:
        """Where to begin. What has to be read from its start is so for whoever comes after us, however soon."""
        unread = self.app.unread(places)
        positions = committed_offsets(_servers(self), fence.group, places, unread)
        if unread:
            go_back(_servers(self), {place: positions[place] for place in unread}, fence)
            self.app.went_back(unread)
        return positions

    def _to_message(self, batches: Sequence[Batch]) -> ConsumerMessage:
        # Of the place, Faust needs no more than the topic: to find the agent. The offset it does not look at.
        tp = TP(*batches[0].place)
        empty: tuple[Any, ...] = (0.0, 0, [], None, batches, None, 0, 0)
        generation = self.app.consumer_generation_id
        return ConsumerMessage(*tp, 0, *empty, tp, generation_id=generation)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Stop handing out, also where nothing was assigned: Faust clears its queues after the assignment."""
        self.stop_flow()
        await super().on_partitions_revoked(revoked)

    async def perform_seek(self) -> None:
        """Not here: Faust asks in several places at once, and wedges for ever where the answer takes long."""

    def on_buffer_full(self, tp: TP) -> None:
        """An agent has enough for now, of all its partitions."""
        for one in self._of_the_same_agent(tp):
            super().on_buffer_full(one)

    def on_buffer_drop(self, tp: TP) -> None:
        """An agent has room again."""
        for one in self._of_the_same_agent(tp):
            super().on_buffer_drop(one)
        self._room.set()

    def _of_the_same_agent(self, tp: TP) -> list[TP]:
        agents = self.app.agent_for
        return [one for one in self.assignment() if agents[one.topic] == agents[tp.topic]]

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Fetch from these again."""
        super().resume_partitions(tps)
        self._room.set()

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return True  # offsets move in the hub's transactions, with the outputs


def _servers(consumer: Consumer) -> str:
    transport = consumer.transport
    return ",".join(driver.server_list(transport.url, transport.default_port))


class Transport(driver.Transport):  # type: ignore[misc]
    """The transport named `hub`."""

    Consumer: ClassVar[type] = Consumer
    driver_version = f"hub over aiokafka={aiokafka.__version__}"
