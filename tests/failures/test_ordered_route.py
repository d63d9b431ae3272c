"""A route or source that says that order matters holds up the subject of a failure, in the stage itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hub.config import HubConfig
from hub.delivery.dead_letter import DeadLetter
from hub.events.kafka import header, to_headers
from hub.registry.codec import decode, encode
from hub.routes import Route, lit
from hub.routes.compiler import compile_route
from hub.routes.engine import Engine
from hub.stream import topics
from hub.stream.parked import Parked, ticket_of
from hub.stream.records import Batch, Fence, Output, Read
from hub.stream.redrive import resent
from hub.stream.routing import Routing
from tests.failures.test_parked import AsMessage
from tests.routes.test_engine import REGISTRY, captured

COUNCIL = "E08000025"
TOPIC = "events.payments"
KIND = "payments.payment.captured"


class World:
    """A route stage with one ordered route and one that is not, both of which refuse the amounts in `ill`."""

    def __init__(self, kafka: str) -> None:
        self.ill: set[int] = set()
        fee = {"python": self._mapped, "reads": ("amount", "payment_id"), "emits": "licensing.fee.paid"}
        routes = [
            Route("in-order", (KIND,), lit(COUNCIL), ordered=True, **fee),  # type: ignore[arg-type]
            Route("as-it-comes", (KIND,), lit(COUNCIL), **fee),  # type: ignore[arg-type]
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

    def again(self, dead: Output) -> Read:
        """A dead letter, redriven."""
        sent = resent(AsMessage(dead), DeadLetter.from_headers(dead.headers))
        self.offset += 1
        return Read(sent.topic, 0, self.offset, 0, sent.key, sent.value, sent.headers)

    def take(self, *several: Sequence[Read]) -> dict[str, list[Any]]:
        """What several batches of one transaction lead to: amounts per route, and dead letters."""
        fence = Fence("hub", 1, "m")
        outputs = self.stage.process([Batch(TOPIC, 0, list(records), fence) for records in several])
        found: dict[str, list[Any]] = {"in-order": [], "as-it-comes": [], "dead": []}
        for output in outputs:
            if output.topic == topics.DEAD_LETTERS:
                found["dead"].append(output)
            elif output.topic == topics.inbox(COUNCIL):
                route = header(output.headers, "ce_source").removeprefix("/routes/")
                assert output.value is not None
                found[route].append(_amount(output.value))
        return found


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
    letters = [(header(one.headers, "hub-dl-route"), ticket_of(one.headers)) for one in found["dead"]]
    assert [ticket.number for route, ticket in letters if route == "in-order" and ticket] == [1, 2, 3]
    assert [ticket for route, ticket in letters if route == "as-it-comes"] == [None]


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


def test_what_did_not_commit_parks_nothing(world: World) -> None:
    world.ill = {1}
    batch = Batch(TOPIC, 0, [world.record(1, subject=1)], Fence("hub", 1, "m"))
    world.stage.process([batch])
    world.stage.forget([batch])
    assert world.take([world.record(2, subject=1)])["in-order"] == [2]
