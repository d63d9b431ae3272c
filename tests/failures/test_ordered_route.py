"""A route or source that says that order matters holds up the subject of a failure, in the stage itself."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from hub.config import HubConfig
from hub.delivery.dead_letter import DeadLetter
from hub.events.kafka import header, to_headers
from hub.journal.entry import entries
from hub.registry.codec import decode, encode
from hub.routes import Route, lit
from hub.routes.compiler import compile_route
from hub.routes.engine import Engine
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.exclusive import ExclusiveWriter
from hub.stream.parked import Parked, ticket_of
from hub.stream.records import Batch, Fence, Output, Outputs, Read, singly
from hub.stream.redrive import resent
from hub.stream.routing import ROUTED, Routing
from tests.failures.test_parked import AsMessage
from tests.routes.test_engine import REGISTRY, captured

COUNCIL = "E08000025"
TOPIC = "events.payments"
KIND = "payments.payment.captured"


class World:
    """A route stage with ordered routes and one that is not, all of which refuse the amounts in `ill`."""

    def __init__(self, kafka: str, ordered: Sequence[str] = ("in-order",)) -> None:
        self.kafka = kafka
        self.ill: set[int] = set()
        self.names = (*ordered, "as-it-comes")
        fee = {"python": self._mapped, "reads": ("amount", "payment_id"), "emits": "licensing.fee.paid"}
        routes = [
            Route(name, (KIND,), lit(COUNCIL), ordered=name in ordered, **fee)  # type: ignore[arg-type]
            for name in self.names
        ]
        compiled = [one for route in routes for one in compile_route(route, REGISTRY)]
        engine = Engine(compiled, [COUNCIL], REGISTRY)
        self.stage = Routing(engine, Parked(kafka, engine.ordered))
        self.offset = 0

    def _mapped(self, row: dict[str, Any]) -> dict[str, Any]:
        if row["amount"] in self.ill:
            raise ValueError("ill")
        return {
            "council": COUNCIL,
            "payment_id": row["payment_id"],
            "licence_reference": f"{row['amount']}",
            "licence_type": "premises",
            "ledger_code": None,
            "amount": row["amount"],
            "currency": "GBP",
            "paid_at": 0,
        }

    def record(self, amount: int, subject: int) -> Read:
        """Payment number `subject`, of so many pence."""
        event = captured(subject, amount=amount)
        self.offset += 1
        value = encode(REGISTRY.by_type(KIND), event.data)
        headers = to_headers(event.envelope)
        return Read(TOPIC, 0, self.offset, 0, event.envelope.subject.encode(), value, headers)

    def unreadable(self, subject: int) -> Read:
        """One whose schema is gone."""
        return msgspec.structs.replace(self.record(0, subject), value=b"\0\xff\xff\xff\xffgone")

    def again(self, dead: Output, *, skip: bool = False) -> Read:
        """A dead letter, redriven or archived."""
        sent = resent(AsMessage(dead), DeadLetter.from_headers(dead.headers), skip=skip)
        self.offset += 1
        return Read(sent.topic, 0, self.offset, 0, sent.key, sent.value, sent.headers)

    def take(self, *several: Sequence[Read]) -> dict[str, list[Any]]:
        """What several batches of one transaction lead to: amounts per route, and dead letters."""
        return self.shown(self.stage.process([self._batch(records) for records in several]))

    def commit(self, *records: Read) -> dict[str, list[Any]]:
        """As `take`, and what is parked is so for all who come after."""
        outputs = singly(self.stage.process([self._batch(records)]))
        gates = [output for output in outputs if output.topic == topics.PARKED]
        ExclusiveWriter(self.kafka, f"parking-{uuid.uuid4().hex}").write(gates)
        return self.shown(outputs)

    def set_aside(self, record: Read) -> dict[str, list[Any]]:
        """What is written where the stage failed over a record, or Kafka refused what came of it."""
        return self.shown(self.stage.set_aside(self._batch([record]), Reject("refused", kind="refused")))

    def _batch(self, records: Sequence[Read]) -> Batch:
        return Batch(TOPIC, 0, list(records), Fence("hub", 1, "m"))

    def shown(self, outputs: Sequence[Output | Outputs]) -> dict[str, list[Any]]:
        """Amounts per route, dead letters, and the ids of events of which it says that they were unrouted."""
        found: dict[str, list[Any]] = {name: [] for name in (*self.names, "dead", "unrouted")}
        for output in singly(outputs):
            if output.topic == topics.JOURNAL:
                told = entries(output.value or b"")
                found["unrouted"] += [one.event_id for one in told if one.outcome == "unrouted"]
            if output.topic == topics.DEAD_LETTERS:
                found["dead"].append(output)
            elif output.topic == topics.inbox(COUNCIL):
                route = header(output.headers, "ce_source").removeprefix("/routes/")
                assert output.value is not None
                found[route].append(_amount(output.value))
        return found


def places(found: dict[str, list[Any]]) -> list[tuple[str, int]]:
    """Route and number of each dead letter; 0 for none."""
    return [
        (header(one.headers, "hub-dl-route"), ticket.number if ticket else 0)
        for one in found["dead"]
        for ticket in [ticket_of(one.headers)]
    ]


def _amount(value: bytes) -> int:
    return int(decode(value, REGISTRY)[1]["amount"])


@pytest.fixture
def world(kafka: str) -> World:
    topics.ensure(kafka, topics.declare(HubConfig(), [], []))
    return World(kafka)


def test_a_failure_at_an_ordered_route_holds_up_its_own_subject_there_and_nothing_else(world: World) -> None:
    world.ill = {1}
    found = world.take(
        [world.record(1, subject=1), world.record(2, subject=1), world.record(3, subject=2)],
        [world.record(4, subject=1), world.record(5, subject=2)],
    )
    assert found["in-order"] == [3, 5]
    assert found["as-it-comes"] == [2, 3, 4, 5]
    assert [number for route, number in places(found) if route == "in-order"] == [1, 2, 3]
    assert [number for route, number in places(found) if route == "as-it-comes"] == [0]


def test_redriven_in_any_order_they_pass_in_order_and_the_subject_is_free_again(world: World) -> None:
    world.ill = {1}
    dead = world.take([world.record(amount, subject=1) for amount in (1, 2, 3)])["dead"]
    waiting = [one for one in dead if header(one.headers, "hub-dl-route") == "in-order"]
    world.ill = set()
    passed = []
    while waiting:
        found = world.take([world.again(one) for one in reversed(waiting)])
        assert found["as-it-comes"] == []
        passed += found["in-order"]
        waiting = found["dead"]
    assert passed == [1, 2, 3]
    assert world.take([world.record(4, subject=1)])["in-order"] == [4]


@pytest.mark.parametrize("passed_already", [False, True])
def test_what_is_redriven_at_one_ordered_route_is_no_matter_of_another(
    kafka: str, passed_already: bool
) -> None:
    topics.ensure(kafka, topics.declare(HubConfig(), [], []))
    world = World(kafka, ordered=("one", "other"))
    failed = [world.set_aside(world.record(1, subject=1)), world.take([world.record(2, subject=1)])]
    dead = {at: one for found in failed for at, one in zip(places(found), found["dead"], strict=True)}
    if passed_already:
        assert world.take([world.again(dead["other", 1])])["other"] == [1]
    first = world.take([world.again(dead["one", 1])])
    assert (first["one"], first["other"], first["dead"]) == ([1], [], [])
    rest = [dead["one", 2], *([] if passed_already else [dead["other", 1]]), dead["other", 2]]
    found = world.take([world.again(one) for one in rest])
    assert (found["one"], found["dead"]) == ([2], [])
    assert found["other"] == ([2] if passed_already else [1, 2])
    later = world.take([world.record(3, subject=1)])
    assert (later["one"], later["other"]) == ([3], [3])


def test_what_did_not_commit_parks_nothing(world: World) -> None:
    world.ill = {1}
    batch = Batch(TOPIC, 0, [world.record(1, subject=1)], Fence("hub", 1, "m"))
    world.stage.process([batch])
    world.stage.forget([batch])
    assert world.take([world.record(2, subject=1)])["in-order"] == [2]


@pytest.mark.parametrize("how", ["set aside by the runner", "unreadable"])
def test_what_no_route_could_take_holds_up_its_subject_where_order_matters_too(
    world: World, how: str
) -> None:
    if how == "unreadable":
        failed = world.take([world.unreadable(subject=1), world.record(2, subject=1)])
        later = failed
    else:
        failed = world.set_aside(world.record(1, subject=1))
        later = world.take([world.record(2, subject=1)])
    assert sorted(places(failed))[:2] == [("as-it-comes", 0), ("in-order", 1)]
    assert (later["in-order"], later["as-it-comes"]) == ([], [2])
    assert ("in-order", 2) in places(later)
    assert world.take([world.record(3, subject=2)])["in-order"] == [3]


def test_what_comes_behind_and_is_set_aside_by_the_runner_waits_in_its_place(world: World) -> None:
    first = world.set_aside(world.record(1, subject=1))["dead"]
    second = world.set_aside(world.record(2, subject=1))["dead"]
    third = world.take([world.record(3, subject=1)])["dead"]
    waiting = [one for one in (*third, *second, *first) if header(one.headers, "hub-dl-route") == "in-order"]
    passed = []
    while waiting:
        found = world.take([world.again(one) for one in waiting])
        assert found["as-it-comes"] == []
        passed += found["in-order"]
        waiting = found["dead"]
    assert passed == [1, 2, 3]


def test_what_is_redriven_and_can_still_not_be_read_is_a_dead_letter_again_and_archived_it_is_silent(
    world: World,
) -> None:
    dead = world.take([world.unreadable(subject=1)])["dead"]
    again = world.take([world.again(one) for one in dead])
    assert sorted(places(again)) == [("as-it-comes", 0), ("in-order", 1)]
    assert again["unrouted"] == []
    archived = world.take([world.again(one, skip=True) for one in again["dead"]])
    assert archived == {"in-order": [], "as-it-comes": [], "dead": [], "unrouted": []}
    assert world.take([world.record(2, subject=1)])["in-order"] == [2]


@pytest.mark.parametrize("meanwhile", ["routed at once", "not routed yet"])
def test_a_subject_waits_for_nothing_that_was_parked_before_its_route_was_ordered_anew(
    world: World, meanwhile: str
) -> None:
    subject = random.randrange(10**6, 10**9)
    world.ill = {1}
    world.commit(world.record(1, subject))
    assert World(world.kafka).take([world.record(2, subject)])["in-order"] == []
    as_it_comes = World(world.kafka, ordered=())
    record = world.record(3, subject)
    if meanwhile == "routed at once":
        record = msgspec.structs.replace(record, headers=[*record.headers, (ROUTED, b"1")])
    as_it_comes.commit(record)
    assert World(world.kafka).take([world.record(4, subject)])["in-order"] == [4]
