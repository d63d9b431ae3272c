"""A transactional producer that writes whole record batches and moves offsets under a fence, in two round trips more.

librdkafka takes records one at a time, which costs more than all that a route does to them. This one knows only
what a `Transactor` needs: one transaction at a time, given as a whole, written as a whole or not at all. It never
tries again what may have happened: whatever goes wrong ends the transaction, and who holds it decides. Connections,
versions and metadata are kafka-python's.

The protocol is that of KIP-98 and KIP-447, without the server's part in KIP-890, which Kafka before 4.0 lacks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kafka import errors
from kafka.net import inet
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.metadata import CoordinatorType, FindCoordinatorRequest
from kafka.protocol.producer import (
    AddOffsetsToTxnRequest,
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
    ProduceRequest,
    TxnOffsetCommitRequest,
)
from kafka.structs import TopicPartition

from hub.stream.client import CONNECTS_IN, RECONNECTS_IN
from hub.stream.packing import RecordBatch, pack
from hub.stream.progress import moved, waits_for
from hub.stream.records import Fence, Output, Outputs, Place, Positions
from hub.stream.verdicts import BUSY, ELSEWHERE, Outrun, Refused, check, codes_of

TIME_LIMIT = 7.0
"""Seconds for one call; after it the producer is of no more use. Less than the watchdog waits, who ends a process."""

_EXPIRES = 10_000  # milliseconds after which Kafka ends a transaction by itself
_AGAIN = 0.002  # seconds until the next try, at first, while Kafka still marks the end of the one before
_LATER = 0.05  # seconds, likewise, while there is no coordinator
_LARGEST = 8 << 20  # bytes of one request, roughly
_NO_EPOCH = -1


class _Socket(inet.KafkaNetSocket):  # type: ignore[misc]  # kafka-python is untyped here
    """kafka-python's, which leaves what did not connect to the cycle collector, who comes by seldom in a worker."""

    SCHEMES = ()  # of proxies, by which it would be found

    async def sock_connect(self, net: Any, sock: Any, *where: Any, **options: Any) -> Any:
        try:
            return await super().sock_connect(net, sock, *where, **options)
        except BaseException:
            sock.close()
            raise


inet.KafkaNetSocket = _Socket  # it has no other place to say so


@dataclass(slots=True)
class _Request:
    """What goes to one broker at once: of each partition one batch."""

    batches: dict[Place, bytes] = field(default_factory=dict)
    size: int = 0


class Producer:
    """Not thread-safe: one thread uses it at a time. `name` is the transactional id.

    Whatever method raises `kafka.errors.KafkaError`, the producer is to be closed: the next of its name ends what
    it may have left open.
    """

    def __init__(self, servers: str, name: str) -> None:
        self.name = name
        self._net = NetworkSelector(client_id=name)
        self._kafka = KafkaConnectionManager(
            self._net,
            bootstrap_servers=servers.split(","),
            client_id=name,
            max_in_flight_requests_per_connection=10_000,  # all of one transaction
            receive_message_max_bytes=100 << 20,
            request_timeout_ms=int(TIME_LIMIT * 1000),
            reconnect_backoff_max_ms=int(RECONNECTS_IN * 1000),
            socket_connection_setup_timeout_ms=int(CONNECTS_IN * 1000),
            socket_connection_setup_timeout_max_ms=int(CONNECTS_IN * 1000),
        )
        self._kafka.cluster.config["allow_auto_create_topics"] = False
        self._id, self._epoch = -1, _NO_EPOCH
        self._sequences: dict[Place, int] = defaultdict(int)
        self._coordinators: dict[tuple[CoordinatorType, str], int] = {}
        self._held_back = False

    def open(self) -> None:
        """Get an epoch, which fences whoever had the name before and ends what that one had left open."""
        self._run(self._open)

    def write(
        self, outputs: Sequence[Output | Outputs], positions: Positions, mark: str, fence: Fence
    ) -> None:
        """Write `outputs` and move the group to `positions`, both or neither; `mark` is kept beside each position.

        Raises Outrun or Refused, after which the next can be written. After KafkaError nobody knows what happened.
        """
        self._run(lambda: self._write(outputs, positions, mark, fence))

    def rehearse(self, outputs: Sequence[Output | Outputs]) -> None:
        """Write `outputs` and take them back, to learn whether Kafka takes them. Raises as `write`, but Outrun."""
        self._run(lambda: self._rehearse(outputs))

    def close(self) -> None:
        """Leave at once."""
        self._kafka.close()
        self._net.close()

    def _run(self, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
        future = self._kafka.call_soon(act)
        self._net.poll(timeout_ms=TIME_LIMIT * 1000, future=future)
        if not future.is_done:
            raise errors.ThrottlingQuotaExceededError if self._held_back else errors.KafkaTimeoutError
        if future.exception is not None:
            raise future.exception

    async def _open(self) -> None:
        await self._kafka.bootstrap_async(TIME_LIMIT * 1000, refresh=False)
        await self._begin()

    async def _begin(self) -> None:
        request = InitProducerIdRequest(
            transactional_id=self.name,
            transaction_timeout_ms=_EXPIRES,
            producer_id=-1,
            producer_epoch=_NO_EPOCH,
            max_version=4,
        )
        (answer,) = await self._coordinated([request])
        self._id, self._epoch = answer.producer_id, answer.producer_epoch
        self._sequences.clear()

    async def _write(
        self, outputs: Sequence[Output | Outputs], positions: Positions, mark: str, fence: Fence
    ) -> None:
        try:
            batches = await self._packed(outputs)
            adding = self._adding({batch.place for batch in batches}, fence.group if positions else "")
            if not adding:
                return
            await self._coordinated(adding)
            moved = await self._moved(positions, mark, fence) if positions else None
            await self.produce(batches)
            if moved is not None:
                check(code for topic in (await moved).topics for _, code in topic.partitions)
            await self._end()
        except (Outrun, Refused):
            await self._begin()  # which also ends the transaction
            raise

    async def _rehearse(self, outputs: Sequence[Output | Outputs]) -> None:
        try:
            batches = await self._packed(outputs)
            if places := {batch.place for batch in batches}:
                await self._coordinated(self._adding(places))
                await self.produce(batches)
        except Refused:
            await self._begin()
            raise
        await self._begin()  # which ends the transaction

    async def _packed(self, outputs: Sequence[Output | Outputs]) -> list[RecordBatch]:
        topics: set[str] = set()
        for output in outputs:
            topics |= {output.topic} if isinstance(output, Output) else set(output.topics.unique().to_list())
        cluster = self._kafka.cluster
        if any(cluster.partitions_for_topic(topic) is None for topic in topics):
            for topic in topics:
                cluster.add_topic(topic)
            await cluster.refresh_metadata()
        counts = {topic: cluster.partitions_for_topic(topic) for topic in topics}
        if not all(counts.values()):
            raise errors.UnknownTopicOrPartitionError
        try:
            packed = pack(outputs, lambda topic: len(counts[topic]))
        except (TypeError, ValueError) as error:  # a header that is no text, say
            raise Refused(type(error).__name__) from error
        moved()
        return packed

    async def produce(self, batches: Iterable[RecordBatch]) -> None:
        """Write to each partition its batches in order, all partitions at once."""
        requests: dict[int, list[_Request]] = defaultdict(list)
        for batch in batches:
            raw = self._numbered(batch)
            those = requests[self._leader(batch.place)]
            if not those or batch.place in those[-1].batches or those[-1].size > _LARGEST:
                those.append(_Request())
            those[-1].batches[batch.place] = raw
            those[-1].size += len(raw)
        answers = [
            await self._sent(self._producing(request.batches), node)
            for node, those in requests.items()
            for request in those
        ]
        for answer in answers:
            responses = (await answer).responses
            check(one.error_code for topic in responses for one in topic.partition_responses)
            moved()  # a large transaction takes long where processors are short

    def _numbered(self, batch: RecordBatch) -> bytes:
        sequence = self._sequences[batch.place]
        self._sequences[batch.place] = (sequence + batch.count) & 0x7FFFFFFF
        return batch.raw(self._id, self._epoch, sequence)

    def _leader(self, place: Place) -> int:
        leader = self._kafka.cluster.leader_for_partition(TopicPartition(*place))
        if leader is None or leader < 0:
            raise errors.LeaderNotAvailableError
        return int(leader)

    def _producing(self, batches: dict[Place, bytes]) -> ProduceRequest:
        topic_of = ProduceRequest.TopicProduceData
        by_topic: dict[str, list[Any]] = defaultdict(list)
        for (topic, partition), raw in batches.items():
            by_topic[topic].append(topic_of.PartitionProduceData(index=partition, records=raw))
        return ProduceRequest(
            transactional_id=self.name if self._id >= 0 else None,
            acks=-1,
            timeout_ms=int(TIME_LIMIT * 1000),
            topic_data=[topic_of(name=topic, partition_data=those) for topic, those in by_topic.items()],
            max_version=11,  # from 12 on Kafka adds partitions to the transaction by itself, 4.0 and later alone
        )

    def _adding(self, places: Iterable[Place], group: str = "") -> list[Any]:
        """What tells the coordinator of all that the transaction will touch."""
        topic_of = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
        requests: list[Any] = []
        if by_topic := _by_topic(places):
            requests.append(
                AddPartitionsToTxnRequest(
                    v3_and_below_transactional_id=self.name,
                    v3_and_below_producer_id=self._id,
                    v3_and_below_producer_epoch=self._epoch,
                    v3_and_below_topics=[topic_of(name=name, partitions=of) for name, of in by_topic.items()],
                    max_version=3,
                )
            )
        if group:
            requests.append(AddOffsetsToTxnRequest(**self._who(), group_id=group, max_version=3))
        return requests

    async def _moved(self, positions: Positions, mark: str, fence: Fence) -> Awaitable[Any]:
        """The offsets on their way to the group's coordinator."""
        topic_of = TxnOffsetCommitRequest.TxnOffsetCommitRequestTopic
        by_topic: dict[str, list[Any]] = defaultdict(list)
        for (topic, partition), offset in positions.items():
            by_topic[topic].append(
                topic_of.TxnOffsetCommitRequestPartition(
                    partition_index=partition,
                    committed_offset=offset,
                    committed_leader_epoch=-1,
                    committed_metadata=f"{mark}\0",  # where librdkafka's Python client, reading it, looks for the end
                )
            )
        request = TxnOffsetCommitRequest(
            **self._who(),
            group_id=fence.group,
            generation_id=fence.generation,
            member_id=fence.member_id,
            group_instance_id=None,
            topics=[topic_of(name=name, partitions=those) for name, those in by_topic.items()],
            min_version=3,  # before, there is no fence
            max_version=4,
        )
        node = await self._coordinator(CoordinatorType.GROUP, fence.group)
        return await self._sent(request, node)

    async def _end(self) -> None:
        """From here on it is committed, or nobody knows."""
        await self._coordinated([EndTxnRequest(**self._who(), committed=True, max_version=4)])

    def _who(self) -> dict[str, Any]:
        return {
            "transactional_id": self.name,
            "producer_id": self._id,
            "producer_epoch": self._epoch,
        }

    async def _coordinated(self, requests: Sequence[Any]) -> list[Any]:
        """The answers of the transaction's coordinator, asked again while it is busy, or is another by now.

        While it is busy only the last is asked, for the first may be long: it names every partition that is written.
        """
        some, pause = requests, _AGAIN
        while True:
            node = await self._coordinator(CoordinatorType.TRANSACTION, self.name)
            asked = [await self._sent(request, node) for request in some]
            answers = [await one for one in asked]
            try:
                check(code for answer in answers for code in codes_of(answer))
            except BUSY:
                some = requests[-1:]
                await self._net.sleep(pause)
                pause = min(pause * 1.1, _LATER)
            except ELSEWHERE:
                self._coordinators.pop((CoordinatorType.TRANSACTION, self.name), None)
                await self._net.sleep(_LATER)
            else:
                if len(some) == len(requests):
                    return answers
                some = requests

    async def _sent(self, request: Any, node: int | None) -> Awaitable[Any]:
        """A request on its way to a broker, or to any, and of that its answer.

        Where an answer says that we are over a quota, Kafka reads nothing more of that connection for so long, and
        kafka-python fails what it is given: it is kept until then.
        """
        while node is not None and "throttle" in self._kafka.get_connection(node).paused:
            self._held_back = True
            waits_for("a quota in Kafka lets nothing more be written for now")
            await self._net.sleep(_LATER)
        if self._held_back:
            self._held_back = False
            waits_for("")
        answer: Awaitable[Any] = self._kafka.send(request, node_id=node)
        return answer

    async def _coordinator(self, kind: CoordinatorType, key: str) -> int:
        """The broker that coordinates a group or a transactional id.

        Asked by the connection that also carries what is written there: Kafka takes what comes by one connection in
        order, and fails two requests of one transaction that it has to verify at the same time.
        """
        which = kind, key
        while which not in self._coordinators:
            request = FindCoordinatorRequest(key=key, key_type=kind.value, coordinator_keys=[key])
            node = self._coordinators.get((CoordinatorType.TRANSACTION, self.name))
            answer = await (await self._sent(request, node))
            found = answer.coordinators[0] if answer.coordinators else answer
            try:
                check([found.error_code])
            except ELSEWHERE:  # of a cluster that is new, or on its way to another broker
                await self._net.sleep(_LATER)
            else:
                self._coordinators[which] = found.node_id
        return self._coordinators[which]


def _by_topic(places: Iterable[Place]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for topic, partition in places:
        found[topic].append(partition)
    return found
