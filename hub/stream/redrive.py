"""Sending dead letters again: the record as it was, to the topic where it failed; or archiving them.

What a dead letter became is a mark in `hub.jobs`, in the transaction that sends it, from the one runner that
there is. So a dead letter is written again once, however often and by however many it is redriven; if it fails
again, that is a new dead letter with its own id. The record carries the first one's id as `hub-redrive`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from time import monotonic, time

import msgspec

from hub.delivery.dead_letter import DeadLetter, own_headers
from hub.events.kafka import header
from hub.journal.entry import Entry
from hub.journal.rows import Failure
from hub.stream.job_runner import Done
from hub.stream.jobs import Item, Job, Jobs, Mark, Progress
from hub.stream.jobs import output as job_output
from hub.stream.parked import SKIP, GateKey, read_gates, ticket_of, waits_for
from hub.stream.picking import Picker
from hub.stream.reading import Message
from hub.stream.records import Headers, Output
from hub.stream.routing import ONLY
from hub.stream.stage import journal_output

#: On a redriven record: the id of the dead letter that it was. Who drops repeats by event id must tell by this.
REDRIVE = "hub-redrive"

#: On the edited copy of a dead letter: the id of that, behind those that it was itself a copy of.
EDITS = "hub-edits"

_OURS = frozenset({ONLY, REDRIVE, EDITS, SKIP})

#: Whom a record is for that is for nobody: no route or subscription can have the name.
_NOBODY = b":nobody"

#: How long to wait for those behind a parked event to show up in the journal, seconds.
_SETTLE_FOR = 10.0
_LOOK_EVERY = 0.5

_encode = msgspec.json.Encoder().encode


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a gate is found."""

    partition: int
    key: GateKey


def item_of(failure: Failure) -> Item:
    """A dead letter as a job refers to it."""
    return Item(failure.id, failure.position_topic, failure.position_partition, failure.position_offset)


def in_order(failures: Iterable[Failure]) -> list[Failure]:
    """As they became dead letters, per subject: those of one subject are in one partition."""
    return sorted(failures, key=lambda one: (one.position_partition, one.position_offset))


class Redriving:
    """What redrive and archive jobs do.

    `waiting` finds open dead letters by their reasons, `nobody` says why nobody would take one, if that is so.
    """

    def __init__(
        self,
        servers: str,
        picker: Picker,
        jobs: Jobs,
        waiting: Callable[[Sequence[str]], list[Failure]],
        nobody: Callable[[DeadLetter], str],
    ) -> None:
        self._servers = servers
        self._picker = picker
        self._jobs = jobs
        self._waiting = waiting
        self._nobody = nobody
        self._looked: dict[str, float] = {}
        self._until: dict[str, float] = {}

    def do(self, job: Job, item: Item) -> Done:
        """Send it again, or archive it, unless either was done before."""
        if self._jobs.mark(item.id):
            return Done("repeated")
        message = self._picker.pick(item.topic, item.partition, item.offset)
        if message is None:
            return Done("gone", note="some are past their retention")
        letter = DeadLetter.from_headers(message.headers())
        if letter.id != item.id:
            return Done("gone", note="some are no longer where the journal says")
        originals = [one for one in header(message.headers(), EDITS).split(",") if one]
        if before := next(filter(None, map(self._jobs.mark, originals)), None):
            note = f"some are edited copies of what was {before.outcome} already"
            return Done("repeated", *_marked(letter, [letter.id], before), note=note)
        archive = job.kind == "archive"
        if not archive and (reason := self._in_vain(message, letter)):
            return Done("refused", note=reason)
        outcome = "archived" if archive else "redriven"
        mark = Mark(outcome=outcome, at=time(), job=job.id, reason=job.reason)
        ticket = ticket_of(message.headers())
        outputs, marks = _marked(letter, [letter.id, *originals], mark)
        if not archive or ticket:  # of what is archived, its number still has to pass
            outputs.append(resent(message, letter, skip=archive))
        gate = ""
        if ticket and not archive:
            key = (letter.topic, ticket.place, (message.key() or b"").decode(errors="replace"))
            gate = _encode(Place(letter.partition, key)).decode()
        return Done("sent", outputs, marks, gate=gate)

    def more(self, job: Job, progress: Progress) -> tuple[list[Item], str | None]:
        """What waits behind those that were sent, and is next by its number; in the end, whether some wait on."""
        now = monotonic()
        if not progress.gates:
            return [], ""
        if now - self._looked.get(job.id, 0.0) < _LOOK_EVERY:
            return [], None
        self._looked[job.id] = now
        gates = self._standing(progress.gates)
        found = self._next_ones(gates)
        if found or job.id not in self._until:
            self._until[job.id] = now + _SETTLE_FOR
        if gates and now < self._until[job.id]:
            return found, None
        self._looked.pop(job.id, None)
        self._until.pop(job.id, None)
        if not gates:
            return found, ""
        return found, f"parked subjects that wait on: {len(gates)}; mend what failed again, and redrive"

    def _in_vain(self, message: Message, letter: DeadLetter) -> str:
        """Why nothing would come of sending it, if that is so: it would be gone, and be taken for redriven."""
        if not message.value() and not own_headers(message.headers()):
            return "some have neither a value nor headers that could be sent"
        return self._nobody(letter)

    def _standing(self, names: Iterable[str]) -> dict[str, int]:
        """Of these gates, those that are not gone: which number is next, by the dead letter that they wait for."""
        places = [msgspec.json.decode(name, type=Place) for name in names]
        now = {part: read_gates(self._servers, part) for part in {place.partition for place in places}}
        gates = [now[place.partition].get(place.key) for place in places]
        return {gate.park: gate.next for gate in gates if gate is not None}

    def _next_ones(self, gates: dict[str, int]) -> list[Item]:
        if not gates:
            return []
        waiting: dict[tuple[str, int], Item] = {}
        for failure in in_order(self._waiting([waits_for(park) for park in gates])):
            item = item_of(failure)
            if self._jobs.mark(item.id):
                continue
            message = self._picker.pick(item.topic, item.partition, item.offset)
            ticket = ticket_of(message.headers()) if message else None
            if ticket:
                waiting[ticket.park, ticket.number] = item
        found = []
        for park, first in gates.items():
            for number in count(first):
                if (park, number) not in waiting:
                    break
                found.append(waiting[park, number])
        return found


def resent(message: Message, letter: DeadLetter, *, skip: bool = False) -> Output:
    """The record of a dead letter, for the topic where it failed.

    A route or subscription that failed alone gets it alone: the others have it already.
    """
    headers: Headers = [
        (name, value)
        for name, value in own_headers(message.headers())
        if name not in _OURS and value is not None
    ]
    only = letter.subscription or letter.route
    if skip:
        headers += [(SKIP, b"1"), (ONLY, _NOBODY)]
    elif only:
        headers.append((ONLY, only.encode()))
    headers.append((REDRIVE, letter.id.encode()))
    return Output(letter.topic, message.key(), message.value(), headers, letter.partition)


def _marked(
    letter: DeadLetter, names: Sequence[str], mark: Mark
) -> tuple[list[Output], list[tuple[str, Mark]]]:
    """What says that these, the dead letter or those that it is a copy of, are settled."""
    outputs = [job_output("mark", name, mark) for name in names]
    outputs += [journal_output(_entry(letter, name, mark)) for name in names]
    return outputs, [(name, mark) for name in names]


def _entry(letter: DeadLetter, letter_id: str, mark: Mark) -> Entry:
    return Entry(
        at=mark.at,
        stage="redrive",
        outcome=mark.outcome,
        event_id=letter.event_id,
        type=letter.type,
        subject=letter.subject,
        party=letter.party,
        correlation_id=letter.correlation_id,
        reason=mark.reason,
        dead_letter=letter_id,
    )
