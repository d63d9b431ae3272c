"""Where order matters, a failed event holds up its own subject and nothing else, and its subject goes on in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import time
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.config import HubConfig
from hub.delivery.dead_letter import DeadLetter
from hub.events.kafka import header
from hub.sdk.errors import Reject
from hub.stream import parked, topics
from hub.stream.exclusive import ExclusiveWriter
from hub.stream.parked import Gate, GateKey, Held, Parked, Turn, read_gates, ticket_of
from hub.stream.records import Batch, Fence, Headers, Output
from hub.stream.redrive import resent

ROUTE, TOPIC = "ordered-route", "events.tests"


@dataclass
class One:
    """A record, as Kafka's clients show it on either side."""

    key_: bytes
    value_: bytes
    headers: Headers = field(default_factory=list)
    offset: int = 0
    topic: str = TOPIC
    partition: int = 0
    timestamp: int = 0

    @property
    def key(self) -> bytes:
        return self.key_

    @property
    def value(self) -> bytes:
        return self.value_


class AsMessage:
    """The same as confluent_kafka shows it."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def headers(self) -> Headers:
        return self._output.headers

    def key(self) -> bytes:
        return self._output.key

    def value(self) -> bytes | None:
        return self._output.value


class Stage:
    """A stage with one ordered place, as `hub.stream.parked` says how; what is in `ill` fails."""

    def __init__(self, gates: dict[GateKey, Gate] | None = None) -> None:
        self.gates: dict[GateKey, Gate] = {} if gates is None else gates
        self.ill: set[bytes] = set()
        self.went_on: list[tuple[bytes, bytes]] = []
        self.letters: dict[str, tuple[DeadLetter, Output]] = {}

    def take(self, records: Sequence[One], held: Held | None = None) -> list[Output]:
        held = held or Held(TOPIC, 0, self.gates, frozenset({ROUTE}))
        outputs = held.opening(records)
        for record in records:
            if header(record.headers, "hub-only") not in ("", ROUTE):
                continue
            if held.turn(ROUTE, record) is not Turn.GO:
                outputs += held.set_aside(ROUTE, record, lambda reject, one=record: letter(one, reject))
            elif record.value in self.ill:
                outputs += held.failed(ROUTE, record, letter(record, Reject("ill", kind="ill")))
            else:
                outputs += held.passed(ROUTE, record)
                self.went_on.append((record.key, record.value))
        for output in outputs:
            if output.topic == topics.DEAD_LETTERS:
                made = DeadLetter.from_headers(output.headers)
                self.letters[made.id] = (made, output)
        return outputs

    def again(self, letter_id: str, offset: int, *, skip: bool = False) -> One:
        """The record of a dead letter as it is redriven, or archived."""
        made, output = self.letters.pop(letter_id)
        sent = resent(AsMessage(output), made, skip=skip)
        return One(sent.key, sent.value or b"", sent.headers, offset)

    def order(self) -> dict[bytes, list[bytes]]:
        found: dict[bytes, list[bytes]] = defaultdict(list)
        for subject, value in self.went_on:
            found[subject].append(value)
        return found


def letter(record: One, reject: Reject) -> DeadLetter:
    return DeadLetter(
        stage="route",
        reason=reject.reason,
        reason_class=reject.kind,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at=time(),
        route=ROUTE,
        event_id=record.value.decode(),
    )


def test_later_events_of_a_failed_ones_subject_wait_for_it_and_others_do_not() -> None:
    stage = Stage()
    stage.ill = {b"1"}
    stage.take([One(b"a", b"1", offset=0), One(b"a", b"2", offset=1), One(b"b", b"3", offset=2)])
    assert stage.went_on == [(b"b", b"3")]
    first, second = (made for made, _ in stage.letters.values())
    assert (first.reason, second.reason) == ("ill", f"waits for {first.id}")
    assert first.fingerprint != second.fingerprint


def test_redriving_releases_them_in_order_whatever_order_they_come_in() -> None:
    stage = Stage()
    stage.ill = {b"1"}
    stage.take([One(b"a", str(n).encode(), offset=n) for n in range(1, 4)])
    stage.ill.clear()
    offset = 10
    for _ in range(3):  # the last first, every time: at least one passes
        for one in reversed(list(stage.letters)):
            stage.take([stage.again(one, offset)])
            offset += 1
    assert stage.order() == {b"a": [b"1", b"2", b"3"]}
    assert not stage.gates
    stage.take([One(b"a", b"4", offset=offset)])
    assert stage.order()[b"a"][-1] == b"4"


def test_one_that_fails_again_stays_the_first() -> None:
    stage = Stage()
    stage.ill = {b"1"}
    stage.take([One(b"a", str(n).encode(), offset=n) for n in range(1, 4)])
    stage.take([stage.again(one, 10 + n) for n, one in enumerate(list(stage.letters))])
    assert stage.went_on == []
    reasons = [made.reason for made, _ in stage.letters.values()]
    assert [reason.partition(" ")[0] for reason in reasons] == ["ill", "waits", "waits"]
    assert sorted(ticket_of(sent.headers).number for _, sent in stage.letters.values()) == [1, 2, 3]  # type: ignore[union-attr]


def test_what_is_archived_holds_nobody_up() -> None:
    stage = Stage()
    stage.ill = {b"1"}
    stage.take([One(b"a", str(n).encode(), offset=n) for n in range(1, 5)])
    first, second, *rest = list(stage.letters)
    stage.take([stage.again(second, 10, skip=True)])
    stage.take([stage.again(first, 11, skip=True)])
    stage.take([stage.again(one, 12 + n) for n, one in enumerate(rest)])
    assert stage.order() == {b"a": [b"3", b"4"]}
    assert not stage.gates


def test_a_number_that_has_passed_does_not_pass_again() -> None:
    stage = Stage()
    stage.ill = {b"1"}
    stage.take([One(b"a", b"1", offset=0), One(b"a", b"2", offset=1)])
    stage.ill.clear()
    once = stage.again(next(iter(stage.letters)), 10)
    stage.take([once, once])
    assert stage.order() == {b"a": [b"1"]}


def test_a_route_that_is_ordered_no_more_gives_its_subjects_up() -> None:
    stage = Stage()
    stage.ill = {b"1"}
    stage.take([One(b"a", b"1", offset=0)])
    held = Held(TOPIC, 0, stage.gates, frozenset())
    (freed,) = held.given_up()
    assert (freed.topic, freed.value) == (topics.PARKED, None)
    assert held.quiet


def test_beyond_its_bound_a_failure_is_set_aside_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked, "MOST", 1)
    stage = Stage()
    stage.ill = {b"1"}
    stage.take([One(b"a", b"1", offset=0), One(b"b", b"1", offset=1), One(b"b", b"2", offset=2)])
    assert stage.went_on == [(b"b", b"2")]
    assert len(stage.letters) == 2


steps = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from([b"a", b"b"]), st.booleans()),
        st.tuples(st.sampled_from(["redrive", "archive", "mend"]), st.integers(0, 9), st.booleans()),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(steps=steps, together=st.booleans())
def test_nothing_is_lost_and_all_goes_on_in_order_whatever_an_operator_does(
    steps: list[tuple[str, Any, bool]], together: bool
) -> None:
    stage, sent, archived = Stage(), defaultdict(list), set()
    waiting: list[One] = []
    offset = 0
    for what, which, flag in steps:
        offset += 1
        open_letters = list(stage.letters)
        if what == "event":
            value = str(offset).encode()
            sent[which].append(value)
            stage.ill |= {value} if flag else set()
            waiting.append(One(which, value, offset=offset))
        elif what == "mend":
            stage.ill.clear()
        elif open_letters:
            chosen = open_letters[which % len(open_letters)]
            if what == "archive":
                archived.add(stage.letters[chosen][1].value)
            waiting.append(stage.again(chosen, offset, skip=what == "archive"))
        if not together or flag:
            stage.take(waiting)
            waiting = []
    stage.take(waiting)
    stage.ill.clear()
    for _ in range(len(stage.letters)):  # of each round, one per subject passes at least
        for one in reversed(list(stage.letters)):
            offset += 1
            stage.take([stage.again(one, offset)])
    wanted = {key: [one for one in values if one not in archived] for key, values in sent.items()}
    assert stage.order() == {key: values for key, values in wanted.items() if values}
    assert not stage.gates


def test_another_worker_knows_what_is_parked_and_a_batch_that_fell_through_parks_nothing(kafka: str) -> None:
    topics.ensure(kafka, topics.declare(HubConfig(), [], []))
    writer = ExclusiveWriter(kafka, "parking")
    subject = f"s{time():.0f}".encode()
    batch = Batch(TOPIC, 0, [One(subject, b"1", offset=0)], Fence("g", 1, "m"))
    mine = Parked(kafka, {ROUTE})
    stage = Stage()
    stage.ill = {b"1"}

    stage.take(batch.records, mine.of(batch))  # type: ignore[arg-type]
    later = One(subject, b"2", offset=1)
    assert mine.of(batch).turn(ROUTE, later) is Turn.WAIT  # type: ignore[arg-type]
    mine.forget([batch])  # it did not commit
    assert mine.of(batch).turn(ROUTE, later) is Turn.GO  # type: ignore[arg-type]

    writer.write(stage.take(batch.records, mine.of(batch)))  # type: ignore[arg-type]
    other = Parked(kafka, {ROUTE})
    assert other.of(batch).turn(ROUTE, later) is Turn.WAIT  # type: ignore[arg-type]
    assert read_gates(kafka, 0)[TOPIC, ROUTE, subject.decode()].park == next(reversed(stage.letters))
    stage.ill.clear()
    passed = stage.take([stage.again(next(reversed(stage.letters)), 1)], other.of(batch))
    writer.write(passed)
    assert (TOPIC, ROUTE, subject.decode()) not in read_gates(kafka, 0)
    again = Batch(TOPIC, 0, batch.records, Fence("g", 2, "m"))
    assert Parked(kafka, {ROUTE}).of(again).turn(ROUTE, later) is Turn.GO  # type: ignore[arg-type]
    assert msgspec.json.decode(passed[0].key) == [TOPIC, ROUTE, subject.decode()]
