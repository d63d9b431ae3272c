"""inbox.<party> → subscribers: what is delivered at once is done with, the rest waits in `hub.deliveries`.

A batch is handed to the lanes and given a moment. What was delivered by then needs no state; for what was not,
a record of its own is written in the same transaction that moves the inbox on. So a slow subscriber holds up
nobody, and a restart goes on where it was, at worst repeating an attempt under the same `webhook-id`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import time

import structlog

from hub.delivery.delivery import Delivery, Key, Step
from hub.delivery.lanes import Lanes
from hub.delivery.subscription import Subscription
from hub.events.envelope import Event
from hub.events.kafka import header
from hub.journal.entry import Entry
from hub.registry.schemas import Registry
from hub.sdk.errors import Reject
from hub.stream import failpoints, topics
from hub.stream.pending import Stored, over, read_waiting, waiting
from hub.stream.progress import Progress
from hub.stream.reading import read_since
from hub.stream.records import Batch, Fence, Output, Positions, Record, positions_of
from hub.stream.routing import ONLY, event_of, letter_of
from hub.stream.stage import dead_letter_outputs, journal_output, lost_outputs
from hub.stream.subscriptions import Subscriptions
from hub.stream.transactions import Transactor

log = structlog.get_logger()

#: How long a batch waits for its deliveries before they get records of their own, seconds.
GRACE = 0.25


class Delivering:
    """The deliver stage, on the event loop. `fence` tells who we are in the group and where each inbox stands."""

    name = "deliver"

    def __init__(
        self,
        lanes: Lanes,
        subscriptions: Subscriptions,
        registry: Registry,
        transactor: Transactor,
        fence: Callable[[], tuple[Fence, Positions]],
    ) -> None:
        self._lanes = lanes
        self._subscriptions = subscriptions
        self._registry = registry
        self._transactor = transactor
        self._fence = fence
        self._batches: asyncio.Queue[Batch] = asyncio.Queue(maxsize=16)
        self.progress = Progress(self.name, self._batches.qsize)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=self.name, initializer=self.progress.bind)
        self._kept: dict[Key, tuple[Delivery, Record]] = {}  # all that is in the lanes, with its record
        self._durable: set[Key] = set()  # those with a record in hub.deliveries
        self._committed: Positions = {}  # what this stage committed since the partitions were assigned
        self._slow: set[str] = set()  # subscriptions that no batch waits for
        self._to_load: set[int] = set()
        self._new: list[Subscription] = []
        self._wake = asyncio.Event()

    async def agent(self, stream: AsyncIterable[Batch]) -> None:
        """The Faust agent: it only hands on."""
        async for batch in stream:
            await failpoints.at(f"{self.name}.took", len(batch.records))
            await self._batches.put(batch)
            self._wake.set()

    async def assigned(self, partitions: Iterable[int]) -> None:
        """Partitions of the inboxes are ours from now on: what waits there is read before anything new."""
        self._to_load = set(partitions)
        self._wake.set()

    def subscribed(self, subscription: Subscription) -> None:
        """A subscription was made: what came to the inbox since, before we heard of it, is for it too."""
        self._new.append(subscription)
        self._wake.set()

    async def revoked(self) -> None:
        """All partitions are taken back: forget everything; whoever gets them reads it again."""
        self._to_load.clear()
        while not self._batches.empty():
            self._batches.get_nowait()
        for topic, partition in {(d.topic, d.partition) for d, _ in self._kept.values()}:
            await self._lanes.drop(topic, partition)
        self._lanes.take()
        self._committed.clear()
        self._kept.clear()
        self._durable.clear()

    async def run(self) -> None:
        """Deliver until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self.progress.bind)
            await loop.run_in_executor(self._thread, self._transactor.prepare)
            while True:
                await self._something_to_do()
                await self._load()
                await self._turn()
        finally:
            await self._lanes.stop(timeout=2)
            await self._transactor.finish(self._thread)

    async def _something_to_do(self) -> None:
        stepped = asyncio.ensure_future(self._lanes.stepped())
        woken = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((stepped, woken), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stepped.cancel()
            woken.cancel()
        self._wake.clear()

    async def _load(self) -> None:
        loop = asyncio.get_running_loop()
        while self._to_load:
            partition = self._to_load.pop()
            found = await loop.run_in_executor(
                self._thread, lambda place: list(read_waiting(self._transactor.servers, place)), partition
            )
            for delivery, record in found:
                self._durable.add(delivery.key)
                self._add(delivery, record)
                subscription = self._subscriptions.get(delivery.subscription_id)
                if subscription is None or subscription.status == "ended":
                    self._lanes.drop_subscription(delivery.subscription_id)

    async def _turn(self) -> None:
        batches, current = [], self._fence()[0]
        while not self._batches.empty():
            batch = self._batches.get_nowait()
            if batch.fence == current:  # of an older generation: somebody else's by now, or read again
                batches.append(batch)
        outputs = [output for batch in batches for output in lost_outputs(batch, self.name)]
        new = await self._catch_up(outputs)
        new += [
            delivery
            for batch in batches
            for record in batch.records
            for delivery in self._intake(record, self._subscriptions.of(_party(record)), outputs)
        ]
        await self._lanes.settled([d for d in new if d.subscription_id not in self._slow], GRACE)
        steps = self._lanes.take()
        for step in steps:
            outputs += self._record(step)
        for delivery in new:
            if delivery.verdict is None and delivery.key in self._kept:
                self._slow.add(delivery.subscription_id)
                outputs.append(waiting(delivery, self._kept[delivery.key][1]))
                self._durable.add(delivery.key)
        moved = positions_of(batches)
        if outputs and not moved:
            moved = self._stand(steps)
        if moved:
            await failpoints.at(f"{self.name}.commit")
            with self.progress.work():
                done = await asyncio.get_running_loop().run_in_executor(
                    self._thread, self._transactor.commit, outputs, moved, current
                )
            if done:
                self.progress.committed(moved)
            if done and self._fence()[0] == current:  # otherwise `revoked` has put everything back meanwhile
                self._committed.update(moved)

    def _stand(self, steps: Iterable[Step]) -> Positions:
        """Where the inboxes of these deliveries stand: committing that moves nothing, but it is fenced."""
        _, assigned = self._fence()
        places = {(step.delivery.topic, step.delivery.partition) for step in steps}
        known = assigned | self._committed
        return {place: known[place] for place in places if place in known}

    async def _catch_up(self, outputs: list[Output]) -> list[Delivery]:
        """Deliveries to subscriptions that we heard of only after their first events had passed."""
        new: list[Delivery] = []
        while self._new:
            subscription = self._new.pop()
            _, assigned = self._fence()
            known = assigned | self._committed
            ends = {place: at for place, at in known.items() if place[0] == topics.inbox(subscription.party)}
            found = await asyncio.get_running_loop().run_in_executor(
                self._thread, read_since, self._transactor.servers, ends, subscription.created
            )
            for message in found:
                new += self._intake(Stored.of(message), [subscription], outputs)
        return new

    def _intake(
        self, record: Record, subscriptions: Iterable[Subscription], outputs: list[Output]
    ) -> list[Delivery]:
        event_type, only = header(record.headers, "ce_type"), header(record.headers, ONLY)
        wanted = [
            one
            for one in subscriptions
            if one.wants(event_type)
            and (not only or one.id == only)
            and record.timestamp >= int(one.created * 1000)
        ]
        if not wanted:
            return []
        try:
            event = event_of(record, self._registry)
        except Reject as reject:
            outputs += dead_letter_outputs(record, letter_of(record, self.name, reject))
            return []
        place = (record.topic, record.partition, record.offset)
        return [
            self._add(
                Delivery(one.id, event.envelope.subject, event.envelope.id, *place, payload=event), record
            )
            for one in wanted
        ]

    def _add(self, delivery: Delivery, record: Record) -> Delivery:
        if delivery.payload is None:
            with suppress(Reject):  # it was readable when it was stored; if not, the attempt says why
                delivery.payload = event_of(record, self._registry)
        self._kept[delivery.key] = (delivery, record)
        return self._lanes.add(delivery)

    def _record(self, step: Step) -> list[Output]:
        delivery = step.delivery
        kept = self._kept.get(delivery.key)
        if kept is None:
            return []
        record = kept[1]
        if step.verdict == "attempt-failed":
            durable = [waiting(delivery, record)] if delivery.key in self._durable else []
            return [*durable, journal_output(_entry(step, record))]
        del self._kept[delivery.key]
        outputs = []
        if delivery.key in self._durable:
            self._durable.discard(delivery.key)
            outputs.append(over(delivery))
        if step.verdict == "delivered":
            self._slow.discard(delivery.subscription_id)
        if step.verdict == "dead-lettered":
            reject = Reject(
                step.outcome.reason or f"the subscriber answered {step.outcome.status}", kind="delivery"
            )
            letter = letter_of(
                record, self.name, reject, subscription=delivery.subscription_id, attempts=step.attempt
            )
            return outputs + dead_letter_outputs(record, letter)
        if step.verdict == "ended" and step.outcome.status:
            outputs += self._end(delivery.subscription_id, "the subscriber answered 410 Gone")
        return [*outputs, journal_output(_entry(step, record))]

    def _end(self, subscription_id: str, reason: str) -> list[Output]:
        subscription = self._subscriptions.get(subscription_id)
        if subscription is None or subscription.status == "ended":
            return []
        ended: Subscription = subscription.ended(reason)
        log.warning("subscription-ended", subscription=subscription_id, reason=reason)
        return [Output(topics.SUBSCRIPTIONS, subscription_id.encode(), ended.to_bytes(), partition=0)]


def _party(record: Record) -> str:
    return record.topic.removeprefix("inbox.")


def _entry(step: Step, record: Record) -> Entry:
    event: Event | None = step.delivery.payload
    return Entry(
        at=time(),
        stage="deliver",
        outcome=step.verdict,
        event_id=step.delivery.event_id,
        type=header(record.headers, "ce_type"),
        subject=step.delivery.subject,
        party=header(record.headers, "ce_party"),
        source=header(record.headers, "ce_source"),
        correlation_id=event.envelope.correlation_id if event else "",
        causation_id=event.envelope.causation_id if event else "",
        subscription=step.delivery.subscription_id,
        attempt=step.attempt,
        status=step.outcome.status,
        reason=step.outcome.reason,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
    )
