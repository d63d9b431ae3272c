"""Parked subjects: where order matters, what comes after a failed event of its subject waits behind it.

A *gate* stands for one subject at one place, which is a route or a source that is declared `ordered`. It opens
with the first failure and gives out numbers: 1 to the event that failed, the next to each event of the subject
that comes after it. All of them are dead letters, each with its number in the header `hub-ticket`; a redriven
one may pass only when its number is next. So they pass in order, whatever order they are redriven in: one that
comes too early is set aside again under its old number. When the last number has passed, the gate is gone.

Gates are records in `hub.parked`, in the partition of their subject, written in the transaction of the batch
that changed them. A worker reads those of a partition once per generation, as it does with `Seen`. Those of a
place that is ordered no more are given up then: what waited there, redriven, goes on as it comes.

How a stage asks, per batch and, where `held.quiet` is false, per record and ordered place:

    held = parked.of(batch)
    outputs += held.given_up()                             # though nothing is ordered any more
    outputs += held.opening(batch.records)
    if held.turn(place, record) is not Turn.GO:
        outputs += held.set_aside(place, record, lambda reject: letter_of(record, ...))
    elif it failed:
        outputs += held.failed(place, record, letter)      # in place of dead_letter_outputs
    else:
        outputs += held.passed(place, record)              # beside what it led to

A first failure makes a quiet partition loud in the middle of a batch: results of later records of that subject
at that place, computed already, are then thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import structlog

from hub.delivery.dead_letter import DeadLetter
from hub.events.kafka import header
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.reading import read_all
from hub.stream.records import Batch, Fence, Headers, Output, Record
from hub.stream.stage import dead_letter_outputs

log = structlog.get_logger()

#: On a dead letter, and on it redriven: its number, at which place, behind which dead letter. JSON.
TICKET = "hub-ticket"

#: On a redriven record: only its number is to pass, since it was archived.
SKIP = "hub-skip"

#: Gates in one partition, at most: beyond that, a failure is set aside without holding up its subject.
MOST = 50_000


class Ticket(msgspec.Struct, frozen=True, array_like=True):
    """A number at a place; `park` is the id of the dead letter for which the gate was opened."""

    park: str
    number: int
    place: str


class Gate(msgspec.Struct, frozen=True, array_like=True):
    """Which number is next, which was given out last, and which of those between were archived."""

    park: str
    next: int = 1
    last: int = 1
    skipped: tuple[int, ...] = ()

    def without(self, number: int) -> Gate | None:
        """The gate once that number has passed, or was archived; None when it was the last."""
        over = {*self.skipped, number}
        now = self.next
        while now in over:
            now += 1
        if now > self.last:
            return None
        return Gate(self.park, now, self.last, tuple(sorted(one for one in over if one > now)))


class Turn(StrEnum):
    """Whether a record may go on at a place, waits behind others, or has been there before."""

    GO = "go"
    WAIT = "wait"
    DROP = "drop"


GateKey = tuple[str, str, str]  # topic, place, subject

_encode = msgspec.json.Encoder().encode


def waits_for(park: str) -> str:
    """The reason of a dead letter that waits behind another; the journal is searched by it."""
    return f"waits for {park}"


def ticket_of(headers: Iterable[tuple[str, bytes | None]]) -> Ticket | None:
    """The number that a record carries, if any."""
    text = header(headers, TICKET)
    try:
        return msgspec.json.decode(text, type=Ticket) if text else None
    except msgspec.MsgspecError:
        return None


def read_gates(servers: str, partition: int) -> dict[GateKey, Gate]:
    """The gates of a partition as they stand. Raises KafkaException."""
    found: dict[GateKey, Gate] = {}
    for message in read_all(servers, topics.PARKED, partition):
        key = msgspec.json.decode(message.key(), type=GateKey)
        if message.value() is None:
            found.pop(key, None)
        else:
            found[key] = msgspec.json.decode(message.value(), type=Gate)
    return found


class Parked:
    """The gates of one stage. `ordered` are its places where order matters; gates of others are given up."""

    def __init__(self, servers: str, ordered: Collection[str]) -> None:
        self._servers = servers
        self._ordered = frozenset(ordered)
        self._held: dict[int, tuple[Fence, dict[GateKey, Gate]]] = {}

    def of(self, batch: Batch) -> Held:
        """The gates for a batch's partition."""
        held = self._held.get(batch.partition)
        if held is None or held[0] != batch.fence:
            held = (batch.fence, read_gates(self._servers, batch.partition))
            self._held[batch.partition] = held
        return Held(batch.topic, batch.partition, held[1], self._ordered)

    def forget(self, batches: Iterable[Batch]) -> None:
        """These batches were not committed: what they changed is read again."""
        for batch in batches:
            self._held.pop(batch.partition, None)


class Held:
    """The gates of one topic and partition, for the length of a batch."""

    def __init__(
        self, topic: str, partition: int, gates: dict[GateKey, Gate], ordered: frozenset[str]
    ) -> None:
        self._topic = topic
        self._partition = partition
        self._gates = gates
        self._ordered = ordered

    @property
    def quiet(self) -> bool:
        """Whether nothing is parked here: no record needs to be asked about."""
        return not self._gates

    def given_up(self) -> list[Output]:
        """Call first: gives up gates of places that are no longer ordered."""
        stale = [key for key in self._gates if key[0] == self._topic and key[1] not in self._ordered]
        return [self._set(key, None) for key in stale]

    def opening(self, records: Sequence[Record]) -> list[Output]:
        """Call next: passes what was archived."""
        if self.quiet:
            return []
        outputs = []
        for record in records:
            ticket = ticket_of(record.headers) if header(record.headers, SKIP) else None
            if ticket is not None:
                outputs += self._without(ticket, record)
        return outputs

    def turn(self, place: str, record: Record) -> Turn:
        """Whether a record may go on at a place."""
        if header(record.headers, SKIP):
            return Turn.DROP
        gate = self._gates.get(self._key(place, record))
        if gate is None:
            return Turn.GO
        ticket = self._valid(place, record, gate)
        if ticket is None or ticket.number > gate.next:
            return Turn.WAIT
        return Turn.GO if ticket.number == gate.next else Turn.DROP

    def set_aside(self, place: str, record: Record, letter: Callable[[Reject], DeadLetter]) -> list[Output]:
        """What is written in place of the result, when `turn` is not GO: a dead letter that waits, or nothing."""
        if self.turn(place, record) is not Turn.WAIT:
            return []
        key = self._key(place, record)
        gate = self._gates[key]
        ticket = self._valid(place, record, gate)
        outputs = []
        if ticket is None:
            gate = Gate(gate.park, gate.next, gate.last + 1, gate.skipped)
            ticket = Ticket(gate.park, gate.last, place)
            outputs.append(self._set(key, gate))
        waits = letter(Reject(waits_for(gate.park), kind="waits"))
        return [*outputs, *dead_letter_outputs(_with(record, ticket), waits)]

    def failed(self, place: str, record: Record, letter: DeadLetter) -> list[Output]:
        """The dead letter of a record that had its turn and failed; from now on its subject waits for it."""
        key = self._key(place, record)
        gate = self._gates.get(key)
        ticket = self._valid(place, record, gate) if gate else None
        if ticket is not None:  # again: it stays the next
            return dead_letter_outputs(_with(record, ticket), letter)
        if len(self._gates) >= MOST:
            log.error("parked-no-more", topic=self._topic, partition=self._partition, place=place)
            return dead_letter_outputs(record, letter)
        opened = self._set(key, Gate(letter.id))
        return [opened, *dead_letter_outputs(_with(record, Ticket(letter.id, 1, place)), letter)]

    def passed(self, place: str, record: Record) -> list[Output]:
        """A record had its turn and went on: the next may."""
        gate = self._gates.get(self._key(place, record))
        ticket = self._valid(place, record, gate) if gate else None
        return self._without(ticket, record) if ticket else []

    def _without(self, ticket: Ticket, record: Record) -> list[Output]:
        key = self._key(ticket.place, record)
        gate = self._gates.get(key)
        if gate is None or gate.park != ticket.park or ticket.number < gate.next:
            return []
        return [self._set(key, gate.without(ticket.number))]

    def _key(self, place: str, record: Record) -> GateKey:
        return self._topic, place, (record.key or b"").decode(errors="replace")

    def _valid(self, place: str, record: Record, gate: Gate) -> Ticket | None:
        ticket = ticket_of(record.headers)
        return ticket if ticket and (ticket.place, ticket.park) == (place, gate.park) else None

    def _set(self, key: GateKey, gate: Gate | None) -> Output:
        if gate is None:
            self._gates.pop(key, None)
        else:
            self._gates[key] = gate
        value = None if gate is None else _encode(gate)
        return Output(topics.PARKED, _encode(key), value, [], self._partition)


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A record with its number beside its own headers."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def _with(record: Record, ticket: Ticket) -> Record:
    others = [(name, value) for name, value in record.headers if name != TICKET]
    return _Numbered(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        record.value,
        [*others, (TICKET, _encode(ticket))],
    )
