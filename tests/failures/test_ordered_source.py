"""What a source sends is parked, redriven and archived by its dead letters, whatever else it has in common."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hub.config import HubConfig
from hub.delivery.dead_letter import DeadLetter
from hub.events.generated.payments import PaymentCreated
from hub.journal.entry import entries
from hub.routes.engine import Engine
from hub.sdk import Fact, Instance, Record, Reject
from hub.sdk.config import ConnectorConfig
from hub.sdk.connector import Source
from hub.sdk.fleet import Fleet, Member
from hub.stream import topics
from hub.stream.exclusive import ExclusiveWriter
from hub.stream.parked import Parked, ticket_of
from hub.stream.raw import raw_output
from hub.stream.records import Batch, Fence, Output, Read, singly
from hub.stream.redrive import resent
from hub.stream.routing import Routing
from hub.stream.seen import Seen
from hub.stream.translate import Translate, ordered_places
from tests.failures.test_parked import AsMessage
from tests.routes.test_engine import REGISTRY

TOPIC, MADE = "raw.notes", "events.payments"
THEN = datetime(2026, 5, 1, tzinfo=UTC)


class Note(Record):
    id: str


class Notes(Source[ConnectorConfig, Note]):
    """Refuses everything while it is `ill`."""

    name = "notes"
    emits = (PaymentCreated,)
    ill = False

    def events(self, record: Note) -> Iterator[Fact]:
        if self.ill:
            raise Reject("ill")
        made = PaymentCreated(
            payment_id=record.id,
            amount=1,
            currency="GBP",
            reference="",
            description="",
            state="created",
            created_at=THEN,
        )
        yield Fact(made, record.id, THEN, record.id)


class InOrder(Notes):
    ordered = True


class Told:
    """What came of some records: the subjects of events, dead letters, and steps in the journal."""

    def __init__(self, outputs: Sequence[Output]) -> None:
        self.events = [one.key.decode() for one in outputs if one.topic == MADE]
        self.dead = [one for one in outputs if one.topic == topics.DEAD_LETTERS]
        journal = [one.value or b"" for one in outputs if one.topic == topics.JOURNAL]
        self.steps = [entry.outcome for value in journal for entry in entries(value)]

    @property
    def numbers(self) -> list[int]:
        """Of each dead letter; 0 for none."""
        tickets = [ticket_of(one.headers) for one in self.dead]
        return [ticket.number if ticket else 0 for ticket in tickets]


class World:
    """A translate stage over one source, whose records are all of one entity."""

    def __init__(self, kafka: str, folder: Path, kind: type[Notes]) -> None:
        self._kafka, self._folder = kafka, folder
        self._offset = 0
        self._entity = uuid.uuid4().hex
        self.released(kind)

    def released(self, kind: type[Notes]) -> None:
        """A release of the hub, with the source as it is now."""
        instance = Instance("notes-one", "notes", "E08000025")
        self.source = kind(instance, ConnectorConfig())
        fleet = Fleet({instance.name: Member(instance, (self.source,))})
        routing = Routing(Engine([], [], REGISTRY))
        parked = Parked(self._kafka, ordered_places(fleet))
        self.stage = Translate(fleet, REGISTRY, Seen(self._kafka, self._folder), routing, parked)

    def sent(self, what: str, at: int) -> Read:
        """A message of the source, as landed at a time in milliseconds."""
        return self._landed(
            raw_output(self.source, what, self._entity, b'{"id": "%s"}' % what.encode(), {}), at
        )

    def again(self, dead: Output, at: int, *, skip: bool = False) -> Read:
        """A dead letter, redriven or archived."""
        return self._landed(resent(AsMessage(dead), DeadLetter.from_headers(dead.headers), skip=skip), at)

    def _landed(self, output: Output, at: int) -> Read:
        self._offset += 1
        return Read(TOPIC, 0, self._offset, at, output.key, output.value, output.headers)

    def take(self, *records: Read) -> Told:
        return Told(singly(self.stage.process([self._batch(records)])))

    def commit(self, *records: Read) -> Told:
        """As `take`, and what is parked is so for all who come after."""
        outputs = singly(self.stage.process([self._batch(records)]))
        gates = [output for output in outputs if output.topic == topics.PARKED]
        ExclusiveWriter(self._kafka, f"parking-{uuid.uuid4().hex}").write(gates)
        return Told(outputs)

    def _batch(self, records: Sequence[Read]) -> Batch:
        return Batch(TOPIC, 0, list(records), Fence("hub", 1, "m"))


@pytest.fixture(params=[InOrder, Notes])
def world(kafka: str, tmp_path: Path, request: pytest.FixtureRequest) -> World:
    topics.ensure(kafka, topics.declare(HubConfig(), [], []))
    return World(kafka, tmp_path, request.param)


def test_a_message_that_was_sent_three_times_is_set_aside_as_often_again_when_all_are_redriven_at_once(
    world: World,
) -> None:
    world.source.ill = True
    first = world.take(*(world.sent("m", at) for at in (1, 2, 3)))
    again = world.take(*(world.again(one, at=9) for one in first.dead))
    numbers = [1, 2, 3] if world.source.ordered else [0, 0, 0]
    assert first.numbers == again.numbers == numbers
    world.source.ill = False
    assert world.take(*(world.again(one, at=10) for one in again.dead)).events == ["m"]
    assert world.take(world.sent("next", 11)).events == ["next"]


def test_what_lies_twice_in_its_topic_is_set_aside_once_redriven_or_not(world: World) -> None:
    world.source.ill = True
    record = world.sent("m", 1)
    (dead,) = world.take(record, record).dead
    redriven = world.again(dead, at=9)
    assert len(world.take(redriven, redriven).dead) == 1


def test_what_is_archived_after_its_source_is_ordered_no_more_takes_no_effect_and_leaves_no_step(
    kafka: str, tmp_path: Path
) -> None:
    topics.ensure(kafka, topics.declare(HubConfig(), [], []))
    world = World(kafka, tmp_path, InOrder)
    world.source.ill = True
    mended, ill = world.take(world.sent("m", 1), world.sent("n", 2)).dead
    world.released(Notes)
    archived = world.take(world.again(mended, 3, skip=True))
    world.source.ill = True
    still = world.take(world.again(ill, 4, skip=True))
    assert [(told.events, told.dead, told.steps) for told in (archived, still)] == [([], [], [])] * 2
    world.source.ill = False
    assert world.take(world.sent("next", 5)).events == ["next"]


def test_what_is_archived_at_an_ordered_source_lets_the_next_pass_and_leaves_no_step(
    kafka: str, tmp_path: Path
) -> None:
    topics.ensure(kafka, topics.declare(HubConfig(), [], []))
    world = World(kafka, tmp_path, InOrder)
    world.source.ill = True
    first, behind = world.take(world.sent("m", 1), world.sent("n", 2)).dead
    world.source.ill = False
    archived = world.take(world.again(first, 3, skip=True))
    assert (archived.events, archived.dead, archived.steps) == ([], [], [])
    assert world.take(world.again(behind, 4), world.sent("next", 5)).events == ["n", "next"]


def test_an_entity_waits_for_nothing_that_was_parked_before_its_source_was_ordered_anew(
    kafka: str, tmp_path: Path
) -> None:
    topics.ensure(kafka, topics.declare(HubConfig(), [], []))
    world = World(kafka, tmp_path, InOrder)
    world.source.ill = True
    world.commit(world.sent("m", 1))
    world.released(InOrder)
    assert world.take(world.sent("n", 2)).events == []
    world.released(Notes)
    world.commit(world.sent("o", 3))
    world.released(InOrder)
    assert world.take(world.sent("p", 4)).events == ["p"]
