"""What of Kafka a stage's transactions touch, in memory and one step at a time, with faults where they are planned.

Written after the protocol and not after our code: groups with generations, transactional ids with epochs
(KIP-98), offsets in transactions fenced by membership (KIP-447), commits that are decided before their markers
are written. `tests/stream/test_transactions.py` holds the same promises against a real broker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from kafka.errors import ProducerFencedError

from hub.stream.committed import Committed
from hub.stream.records import Fence, Output, Place, Positions
from hub.stream.verdicts import Outrun, Refused

GROUP = "hub"


class Crashed(BaseException):
    """The process that called is dead."""


class Fault(Enum):
    """What may go wrong in one call."""

    NONE = "nothing"
    FAILS = "nothing happens, and the caller is told that time is up"
    LOST = "it happens, and the caller is told that time is up"
    CRASH = "the caller dies before"
    CRASH_AFTER = "the caller dies after"
    EXPIRED = "the transaction took too long: the coordinator ends it before"
    REBALANCED = "the group gives up the caller before"


class State(Enum):
    """Of a transaction. DECIDED has answered the caller, and its markers are still to be written."""

    OPEN = "open"
    DECIDED = "decided"
    COMMITTED = "committed"
    ABORTED = "aborted"


@dataclass(eq=False)
class Transaction:
    """What is written and moved together."""

    name: str
    state: State = State.OPEN
    offsets: dict[Place, Committed] = field(default_factory=dict)


def failed(code: int) -> KafkaException:
    return KafkaException(KafkaError(code))


class FakeKafka:
    """One broker. `log` holds values by offset, None where there is no record: a marker, or a compacted one."""

    def __init__(self) -> None:
        self.log: dict[Place, list[bytes | None]] = {}
        self.written: dict[Place, list[tuple[bytes, Transaction]]] = {}
        self.offsets: dict[Place, Committed] = {}
        self.epochs: dict[str, int] = {}
        self.transactions: list[Transaction] = []
        self.generation = 0
        self.members: set[str] = set()
        self.plan: list[Fault] = []
        self.give_up: Callable[[], None] = lambda: None  # the group gives up whoever is calling

    # -- what a worker calls -------------------------------------------------------------------------------

    def opened(self, _servers: str, name: str) -> FakeProducer:
        """As `open_producer`."""

        def initialise() -> FakeProducer:
            for one in self.of(name):
                self.end(one)
            self.epochs[name] = self.epochs.get(name, 0) + 1
            return FakeProducer(self, name, self.epochs[name])

        return self.call(name, initialise)

    def committed(self, _servers: str, group: str, places: Sequence[Place]) -> dict[Place, Committed]:
        """As `read_committed`: stable offsets, so it waits for what is under way there."""
        assert group == GROUP

        def stable() -> dict[Place, Committed]:
            self.settle(lambda one: any(place in one.offsets for place in places))
            return {place: self.offsets[place] for place in places if place in self.offsets}

        return self.call("", stable)

    def read(self, place: Place) -> list[bytes]:
        """What is written there, as a reader of committed records sees it, who waits for what is under way."""
        mine = {id(transaction) for _, transaction in self.written.get(place, [])}
        self.settle(lambda one: id(one) in mine)
        return self.visible(place)

    # -- what happens --------------------------------------------------------------------------------------

    def call(self, name: str, act: Callable[[], Any]) -> Any:
        """One step of a caller, and what the plan has for it."""
        fault = self.plan.pop(0) if self.plan else Fault.NONE
        if fault is Fault.CRASH:
            raise Crashed
        if fault is Fault.FAILS:
            raise failed(KafkaError._TIMED_OUT)
        if fault is Fault.EXPIRED:
            for one in self.of(name, State.OPEN):
                self.expire(one)
        if fault is Fault.REBALANCED:
            self.give_up()
        result = act()
        if fault is Fault.LOST:
            raise failed(KafkaError._TIMED_OUT)
        if fault is Fault.CRASH_AFTER:
            raise Crashed
        return result

    def of(self, name: str, *states: State) -> list[Transaction]:
        """Transactions of a name that are not over."""
        wanted = states or (State.OPEN, State.DECIDED)
        return [one for one in self.transactions if one.name == name and one.state in wanted]

    def end(self, one: Transaction) -> None:
        """Write its markers: it is as it was decided, and aborted where nothing was."""
        if one.state is State.DECIDED:
            one.state = State.COMMITTED
            self.offsets |= one.offsets
        else:
            one.state = State.ABORTED

    def expire(self, one: Transaction) -> None:
        """The coordinator ends it for taking too long, and its producer may not go on."""
        self.end(one)
        self.epochs[one.name] += 1

    def settle(self, which: Callable[[Transaction], bool]) -> None:
        """Wait until these are over, which for open ones of the dead takes until they expire."""
        for one in self.transactions:
            if one.state is State.DECIDED and which(one):
                self.end(one)
            elif one.state is State.OPEN and which(one):
                self.expire(one)

    # -- what is there, for whoever judges -----------------------------------------------------------------

    def visible(self, place: Place) -> list[bytes]:
        """What is committed, or decided to be."""
        over = (State.COMMITTED, State.DECIDED)
        return [value for value, one in self.written.get(place, []) if one.state in over]

    def position(self, place: Place) -> int:
        """Where the group is committed, or decided to be."""
        found = self.offsets.get(place, Committed(0, ""))
        for one in self.transactions:
            if one.state is State.DECIDED:
                found = one.offsets.get(place, found)
        return found.offset


class FakeProducer:
    """As much of `hub.stream.producer.Producer` as a transactor uses, request by request."""

    def __init__(self, kafka: FakeKafka, name: str, epoch: int) -> None:
        self._kafka = kafka
        self._name = name
        self._epoch = epoch

    def write(self, outputs: Sequence[Output], positions: Positions, mark: str, fence: Fence) -> None:
        one = Transaction(self._name)
        try:
            if positions:
                self._call(lambda: self._move(one, positions, mark, fence))
            if outputs:
                self._call(lambda: self._write(one, outputs))
            self._call(lambda: self._decide(one))
        except (Outrun, Refused):
            self._kafka.call(self._name, self._begin)
            raise

    def close(self) -> None:
        """Nothing waits here."""

    def _move(self, one: Transaction, positions: Positions, mark: str, fence: Fence) -> None:
        self._open(one)
        if fence.generation >= 0 or fence.member_id:  # else it is taken for no member, and not looked at
            if fence.member_id not in self._kafka.members:
                raise Outrun("UnknownMemberIdError")
            if fence.generation != self._kafka.generation:
                raise Outrun("IllegalGenerationError")
        one.offsets |= {place: Committed(offset, mark) for place, offset in positions.items()}

    def _write(self, one: Transaction, outputs: Sequence[Output]) -> None:
        self._open(one)
        for output in outputs:
            assert output.value is not None
            assert output.partition is not None
            if output.value.startswith(b"huge"):
                raise Refused("MessageSizeTooLargeError")
            place = (output.topic, output.partition)
            self._kafka.written.setdefault(place, []).append((output.value, one))

    def _decide(self, one: Transaction) -> None:
        self._open(one)
        one.state = State.DECIDED

    def _begin(self) -> None:
        for one in self._kafka.of(self._name):
            self._kafka.end(one)
        self._kafka.epochs[self._name] += 1
        self._epoch = self._kafka.epochs[self._name]

    def _call(self, act: Callable[[], None]) -> None:
        def fenced() -> None:
            if self._epoch != self._kafka.epochs[self._name]:
                raise ProducerFencedError
            act()

        self._kafka.call(self._name, fenced)

    def _open(self, one: Transaction) -> None:
        """The coordinator hears of a transaction at its first request."""
        if one not in self._kafka.transactions:
            for before in self._kafka.of(self._name):  # as it does between two: the markers come first
                self._kafka.end(before)
            self._kafka.transactions.append(one)
