"""A Faust transport that hands agents whole batches and leaves offsets to the hub's own transactions.

Faust keeps what it is good at: the app, the agents, group membership, assignment, flow control. Its
acknowledgement and commit machinery loses or repeats events under failure (docs/decisions/0001), so here one
Faust message is one `Batch`, Faust's commit does nothing, and reading starts where our transactions ended.

Registered with Faust under the entry point group `faust.transports` as `hub`: broker URL `hub://host:port`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

import aiokafka
from aiokafka.consumer import fetcher
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import TP, ConsumerMessage

from hub.stream.committed import committed_offsets
from hub.stream.fetched import Chunk, Chunks, Fetched
from hub.stream.records import Batch, Fence, Positions, Standing, positions_of


class _Records(fetcher.PartitionRecords):  # type: ignore[misc]
    """aiokafka's walk over what was fetched, which knows aborted transactions and gaps, in whole record batches."""

    def _consumer_record(self, tp: TP, chunk: Chunk) -> Chunk:
        chunk.first = self.next_fetch_offset
        return chunk


# The fetcher has no other place to say what it is to use; nothing else in a worker reads by aiokafka.
fetcher.PartitionRecords = _Records
fetcher.MemoryRecords = Chunks


class _ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is untyped here
    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        # Range, not Faust's round robin: partition n of every topic goes to one worker, so that what belongs
        # to a subject (its state, its retries) is where its events are.
        self._assignor = RangePartitionAssignor
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[RangePartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset=conf.consumer_auto_offset_reset,
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=500,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            isolation_level="read_committed",
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
        )

    async def _fetch_records(self, consumer: aiokafka.AIOKafkaConsumer, *args: Any, **options: Any) -> Any:
        fetched = await super()._fetch_records(consumer, *args, **options)
        # No await between here and the fetch's own check of the assignment, and both run on this thread: so
        # these records belong to this generation. During a reassignment aiokafka returns none.
        coordinator = consumer._coordinator
        fence = Fence(self.app.conf.id, coordinator.generation, coordinator.member_id)
        batches = {
            tp: Batch(tp.topic, tp.partition, Fetched(tp.topic, tp.partition, chunks), fence)
            for tp, chunks in fetched.items()
            if chunks
        }
        self.consumer.handed.update(positions_of(batches.values()))
        return {tp: [batch] for tp, batch in batches.items()}

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's livelock detector only logs, and judges by commits that we do not make through it."""


class Consumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, one message per batch."""

    _positions: Positions = {}  # noqa: RUF012 - replaced as a whole, never changed
    _told: Fence | None = None
    handed: Positions = {}  # noqa: RUF012 - replaced at each assignment
    """Per partition, where the batches that were handed to agents end."""

    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: TP, batch: Batch) -> ConsumerMessage:
        return ConsumerMessage(
            batch.topic,
            batch.partition,
            batch.next_offset - 1,
            0.0,
            0,
            [],
            None,
            batch,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        return True  # offsets move in the hub's transactions, with the outputs

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go to what our transactions committed, asking for stable offsets, which aiokafka cannot."""
        places = list(self.assignment())
        found = await asyncio.get_running_loop().run_in_executor(
            None, committed_offsets, _servers(self), self.app.conf.id, places, self.app.read_again
        )
        offsets = {tp: found[tp.topic, tp.partition] for tp in places}
        await self._thread.seek_wait(offsets)
        self._positions = {(tp.topic, tp.partition): offset for tp, offset in offsets.items()}
        self.handed = dict(self._positions)
        await self._tell()
        return offsets

    async def with_nothing(self) -> None:
        """There are more workers than partitions: Faust seeks nothing then, so that nobody would be told."""
        if not self.assignment():
            self._positions, self.handed = {}, {}
            await self._tell()

    async def _tell(self) -> None:
        fence, positions = self.membership()
        if fence != self._told:  # Faust seeks more than once
            self._told = fence
            self.app.read_again = frozenset()
            await self.app.on_positioned(positions)

    def membership(self) -> tuple[Fence, Positions]:
        """Who we are in the group now, and the positions that its partitions had when they were assigned."""
        coordinator = self._thread._ensure_consumer()._coordinator
        return Fence(self.app.conf.id, coordinator.generation, coordinator.member_id), self._positions

    def standing(self) -> Standing:
        """All that is known of where we stand. From any thread: what changes meanwhile is one or the other."""
        fence, positions = self.membership()
        return Standing(fence, not self.app.rebalancing, positions, dict(self.handed), self._fetched())

    def _fetched(self) -> Positions:
        subscription = self._thread._ensure_consumer()._subscription.subscription
        assignment = subscription.assignment if subscription else None
        if assignment is None:
            return {}
        states = {tp: assignment.state_value(tp) for tp in assignment.tps}
        return {
            (tp.topic, tp.partition): state._position
            for tp, state in states.items()
            if state is not None and state._position is not None
        }

    def leave(self, timeout: float = 1.0) -> None:
        """Leave the group now, from any thread but the consumer's own; who cannot is missed a moment later."""
        coordinator = self._thread._ensure_consumer()._coordinator
        leaving = coordinator._maybe_leave_group()
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(leaving, self._thread.thread_loop).result(timeout)


def _servers(consumer: Consumer) -> str:
    transport = consumer.transport
    return ",".join(driver.server_list(transport.url, transport.default_port))


class Transport(driver.Transport):  # type: ignore[misc]
    """The transport named `hub`."""

    Consumer: ClassVar[type] = Consumer
    driver_version = f"hub over aiokafka={aiokafka.__version__}"
