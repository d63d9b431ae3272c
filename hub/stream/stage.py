"""A stage: batches in, outputs out. What stages write beside their results: journal entries and dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import time
from typing import Any, Protocol

import msgspec

from hub.delivery.dead_letter import DeadLetter
from hub.journal.entry import Entry, entries, packed
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.records import Batch, Output, Outputs, Place, Read, Record


class Stage(Protocol):
    """One step of an event's way. `process` runs on the stage's own thread and must not raise for bad records."""

    name: str
    #: Whether `process` depends on its batches alone, so that they may be worked on while those before commit.
    pure: bool
    #: Seconds that the first batch of a transaction waits for more, where nobody waits for what comes out.
    linger: float

    def process(self, batches: Sequence[Batch]) -> Sequence[Output | Outputs]:
        """What comes out of the batches of one transaction: results, dead letters and journal entries."""

    def set_aside(self, batch: Batch, reject: Reject) -> list[Output]:
        """The one record of `batch` cannot go on, for no fault that `process` could see.

        As with any other failure, where order matters what comes later waits behind it. Raises where none may be
        set aside.
        """

    def forget(self, batches: Iterable[Batch]) -> None:
        """The batches were not committed and will come again, here or elsewhere."""


_encode = msgspec.json.Encoder().encode
_PACKED = 2_000  # entries in one record: some 300 KB, far below what a broker takes
_LONG = 500  # characters of a text, or bytes of a key: more than any has that is not somebody's mistake


def journal_output(entry: Entry) -> Output:
    """A journal entry as a record, keyed by the event so that its steps stay in order."""
    return Output(topics.JOURNAL, entry.event_id.encode(), _encode(entry))


def journal_outputs(first: Place, same: Entry, each: Mapping[str, Sequence[Any]]) -> list[Output]:
    """As few records as hold the entries of one transaction: `same`, with entry n's columns of `each` over it.

    Keyed by where its first batch came from. An event's steps may so be read out of order: the journal does not mind.
    """
    key = "-".join(map(str, first)).encode()
    count = len(each["event_id"])
    return [
        Output(
            topics.JOURNAL,
            key,
            packed(same, {name: column[start : start + _PACKED] for name, column in each.items()}),
        )
        for start in range(0, count, _PACKED)
    ]


class Entries:
    """Journal entries of one kind, gathered while a transaction's batches are worked on."""

    def __init__(self, **same: Any) -> None:
        self._same = same
        self._rows: list[dict[str, Any]] = []

    def add(self, record: Record, **fields: Any) -> None:
        """What happened to a record, or to what came of it; every call gives the same fields."""
        self._rows.append(
            {"topic": record.topic, "partition": record.partition, "offset": record.offset, **fields}
        )

    def outputs(self, first: Place) -> list[Output]:
        """The entries as records; `first` is where the transaction's first batch came from."""
        if not self._rows:
            return []
        each = {name: [row[name] for row in self._rows] for name in self._rows[0]}
        return journal_outputs(first, Entry(**{"at": 0.0, "outcome": "", "event_id": "", **self._same}), each)


def dead_letter_outputs(record: Record, letter: DeadLetter) -> list[Output]:
    """The record as it came with the reason beside it, and its journal entry."""
    kept = [(name, value) for name, value in record.headers if not name.startswith("hub-dl-")]
    entry = Entry(
        at=letter.at,
        stage=letter.stage,
        outcome="dead-lettered",
        event_id=letter.event_id,
        type=letter.type,
        subject=letter.subject,
        party=letter.party,
        source=letter.source,
        correlation_id=letter.correlation_id,
        route=letter.route,
        subscription=letter.subscription,
        attempt=letter.attempts,
        reason=letter.reason,
        fingerprint=letter.fingerprint,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        dead_letter=letter.id,
    )
    written = Output(
        topics.DEAD_LETTERS, record.key or letter.id.encode(), record.value or b"", kept + letter.headers()
    )
    return [written, journal_output(entry)]


def bare(outputs: Iterable[Output]) -> Iterator[Output]:
    """`outputs` with one that Kafka does not take, as it takes them: without payload, which lies where a letter says.

    Texts are cut, too, as long as they may be. What else is written beside is left out where it is long.
    """
    for one in outputs:
        if one.topic == topics.DEAD_LETTERS:
            headers = [(name, _cut(value.decode(errors="replace")).encode()) for name, value in one.headers]
            yield msgspec.structs.replace(one, key=one.key[:_LONG], value=b"", headers=headers)
        elif one.topic == topics.JOURNAL:
            for entry in entries(one.value or b""):
                texts = {name: _cut(text) for name, text in msgspec.structs.asdict(entry).items()}
                yield journal_output(msgspec.structs.replace(entry, **texts))
        elif len(one.key) < 10 * _LONG:
            yield one


def _cut(field: Any) -> Any:
    return field[:_LONG] if isinstance(field, str) else field


def lost_outputs(batch: Batch, stage: str) -> list[Output]:
    """What says that records before `batch` were deleted before the stage had read them. Nobody has them now."""
    if not batch.lost:
        return []
    gone = Read(batch.topic, batch.partition, batch.lost.start, 0, None, b"", [])
    letter = DeadLetter(
        stage=stage,
        reason=f"{len(batch.lost)} offsets from {batch.lost.start} on were deleted before they were read",
        reason_class="lost",
        topic=batch.topic,
        partition=batch.partition,
        offset=batch.lost.start,
        at=time(),
        attempts=1,
    )
    return dead_letter_outputs(gone, letter)
