"""Routing a batch: right party, stable ids, input order; one bad event costs only itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.exceptions import PanicException

from hub.events.envelope import Envelope, Event
from hub.events.heads import Heads
from hub.events.kafka import to_headers
from hub.events.model import to_micros
from hub.registry.codec import decode, encode, schema_id
from hub.registry.schemas import Registry, Schema
from hub.routes import Route, col, lit
from hub.routes.compiler import compile_route
from hub.routes.engine import Engine
from hub.routes.loader import load_routes

ROOT = Path(__file__).parents[2]
REGISTRY = Registry.load(ROOT / "schemas")
PARTIES = ["E08000025", "E09000033"]
ENGINE = Engine(load_routes(ROOT / "routes", REGISTRY), PARTIES, REGISTRY)


def captured(number: int, reference: str = "PREM/1", party: str = "E08000025", **data: Any) -> Event:
    payment_id = f"payment{number:019}"
    envelope = Envelope(
        id=f"event-{number}",
        source="/connectors/govuk_pay/birmingham-pay",
        type="payments.payment.captured",
        subject=payment_id,
        time=datetime(2026, 5, 1, tzinfo=UTC),
        party=party,
        correlation_id="case",
        causation_id="raw",
        traceparent="",
    )
    names = {field.name: None for field in REGISTRY.by_type(envelope.type).fields}
    known = {
        "payment_id": payment_id,
        "amount": 100,
        "currency": "GBP",
        "reference": reference,
        "description": "",
        "state": "success",
        "created_at": 0,
        "metadata": {},
    }
    return Event(envelope, {**names, **known, **data})


def fees(events: list[Event]) -> list[Event]:
    routed, refused = ENGINE.run_events(events)
    assert not refused
    return [one.event for one in routed if one.route == "licence-fee-paid"]


def test_a_fee_is_told_to_the_council_that_was_paid() -> None:
    (fee,) = fees([captured(1, party="E09000033", metadata={"licence_type": "premises"})])
    assert fee.envelope.party == fee.data["council"] == "E09000033"
    assert fee.data["licence_type"] == "premises"
    assert fee.envelope.subject == "PREM/1"
    encode(REGISTRY.by_type("licensing.fee.paid"), fee.data)


def test_the_time_of_an_event_is_read_to_the_microsecond_in_any_year() -> None:
    event = captured(1)
    moment = datetime(2040, 5, 1, microsecond=3988, tzinfo=UTC)  # as a float it is a little less
    (fee,) = fees([replace(event, envelope=replace(event.envelope, time=moment))])
    assert fee.data["paid_at"] == to_micros(moment)


@pytest.mark.parametrize(
    ("reference", "metadata", "is_fee"),
    [
        ("PREM/2026/1", {}, True),
        ("TAXI-77", {}, True),
        ("COUNCIL-TAX-1", {}, False),
        ("COUNCIL-TAX-1", {"licence_reference": "PHV/9"}, True),
        ("premises", {}, False),
    ],
)
def test_what_counts_as_a_licence_fee(reference: str, metadata: dict[str, str], is_fee: bool) -> None:
    assert bool(fees([captured(1, reference, metadata=metadata)])) is is_fee


def test_same_input_same_id_and_another_for_every_route_and_party() -> None:
    once, again = ENGINE.run_events([captured(1)])[0], ENGINE.run_events([captured(1)])[0]
    assert [one.event.envelope.id for one in once] == [one.event.envelope.id for one in again]
    other = ENGINE.run_events([captured(1, party="E09000033")])[0]
    ids = {one.event.envelope.id for one in [*once, *other]}
    assert len(ids) == len(once) + len(other) == 4


def test_an_unknown_party_is_refused_and_the_others_go_on() -> None:
    routed, refused = ENGINE.run_events([captured(1), captured(2, party="E99999999"), captured(3)])
    assert {one.row for one in refused} == {1}
    assert {one.row for one in routed} == {0, 2}


def test_one_bad_event_in_the_middle_of_a_batch_costs_only_itself() -> None:
    route = Route(
        name="strict",
        on=("payments.payment.captured",),
        to=col("ce.party"),
        when=col("reference").cast(int) > 0,
    )
    engine = Engine(compile_route(route, REGISTRY), ["E08000025"], REGISTRY)
    events = [captured(number, str(number + 1)) for number in range(100)]
    events[57] = captured(57, "not a number")
    routed, refused = engine.run_events(events)
    assert [fault.row for fault in refused] == [57]
    assert [one.row for one in routed] == [row for row in range(100) if row != 57]


def picky(error: BaseException) -> Engine:
    """One route whose mapping meets a bug with one reference, and one that passes everything on."""

    def council(reference: str) -> str:
        if reference == "bad":
            raise error
        return "E08000025"

    on = ("payments.payment.captured",)
    (bad,) = compile_route(Route(name="bad", on=on, to=col("reference")), REGISTRY)
    (well,) = compile_route(Route(name="well", on=on, to=col("ce.party")), REGISTRY)
    # No author may call Python there: it stands for what is Polars' own fault.
    failing = col("reference").map_elements(council, return_dtype=pl.String)
    bad = replace(bad, route=replace(bad.route, to=failing))
    return Engine([bad, well], PARTIES, REGISTRY)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("somebody's name"),
        AttributeError("somebody's name"),
        ZeroDivisionError("somebody's name"),
        PanicException("somebody's name"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_mapping_that_fails_in_whatever_way_costs_its_own_route_one_event(error: BaseException) -> None:
    events = [captured(number) for number in range(10)]
    events[7] = captured(7, "bad")
    routed, refused = picky(error).run_events(events)
    assert [(fault.row, fault.route) for fault in refused] == [(7, "bad")]
    assert "somebody" not in refused[0].reason
    assert [one.row for one in routed if one.route == "bad"] == [row for row in range(10) if row != 7]
    assert [one.row for one in routed if one.route == "well"] == list(range(10))


@pytest.mark.parametrize("error", [MemoryError(), OSError("no more files"), KeyboardInterrupt()])
def test_what_is_no_fault_of_the_event_is_not_laid_to_it(error: BaseException) -> None:
    with pytest.raises(type(error)):
        picky(error).run_events([captured(1, "bad")])


def test_what_came_in_an_older_version_is_told_to_be_what_it_goes_on_as() -> None:
    older = REGISTRY.by_type("payments.payment.captured")
    more = {"name": "more", "type": ["null", "string"], "default": None}
    definition = {**older.definition, "fields": [*older.definition["fields"], more]}
    newer = Schema.of(999, older.type, older.version + 1, definition)
    registry = Registry([older, newer])
    onward = Route(name="onward", on=(older.type,), to=col("ce.party"))
    engine = Engine(compile_route(onward, registry), PARTIES, registry)
    event = captured(1)
    value = encode(older, event.data)
    envelope = replace(event.envelope, dataschema=older.path)
    (live,) = engine.run(Heads.of([to_headers(envelope)]), [value]).routed
    assert (live.values.to_list(), live.texts("ce_dataschema")) == ([value], [older.path])
    (again,), refused = engine.run_events([Event(envelope, decode(value, registry, latest=True)[1])])
    assert not refused
    assert (schema_id(again.value), again.event.envelope.dataschema) == (newer.id, newer.path)


def test_an_event_whose_type_is_published_no_more_is_refused_and_the_others_go_on() -> None:
    stolen = captured(2)
    stolen = replace(stolen, envelope=replace(stolen.envelope, type="payments.payment.stolen"))
    routed, refused = ENGINE.run_events([captured(1), stolen, captured(3)])
    assert [(fault.row, fault.route, fault.reason) for fault in refused] == [
        (1, "", "data: no schema of type payments.payment.stolen")
    ]
    assert {one.row for one in routed} == {0, 2}


@given(st.lists(st.sampled_from(PARTIES), max_size=40))
def test_outputs_keep_the_order_of_their_inputs(parties: list[str]) -> None:
    events = [captured(number, party=party) for number, party in enumerate(parties)]
    routed, refused = ENGINE.run_events(events)
    assert not refused
    rows = [one.row for one in routed]
    assert rows == sorted(rows)
    assert {one.row for one in routed} == set(range(len(parties)))


@pytest.mark.parametrize(
    ("emits", "given"),
    [
        (
            "licensing.fee.paid",
            ("council", "licence_reference", "payment_id", "amount", "currency", "paid_at"),
        ),
        (
            "driving.licence.changed",
            ("council", "licence_reference", "licence_type", "licence_status", "disqualified"),
        ),
        ("notifications.email.requested", ("template", "email_address")),
    ],
)
def test_what_a_route_does_not_give_is_at_its_default(emits: str, given: tuple[str, ...]) -> None:
    of_type = {int: col("amount"), bool: lit(False), str: col("reference")}
    kinds = {"amount": int, "paid_at": int, "disqualified": bool}
    route = Route(
        name="sparse",
        on=("payments.payment.captured",),
        to=col("ce.party"),
        emits=emits,
        columns={name: of_type[kinds.get(name, str)] for name in given},
    )
    engine = Engine(compile_route(route, REGISTRY), ["E08000025"], REGISTRY)
    routed, refused = engine.run_events([captured(number) for number in range(3)])
    assert not refused
    defaults = {
        one["name"]: one["default"]
        for one in REGISTRY.by_type(emits).definition["fields"]
        if one["name"] not in given
    }
    assert defaults
    for made in routed:
        assert {name: made.event.data[name] for name in defaults} == defaults
    assert len(routed) == 3


def test_what_led_to_an_output_is_told() -> None:
    (fee,) = fees([captured(5)])
    assert fee.envelope.causation_id == "event-5"
    assert fee.envelope.correlation_id == "case"
    assert fee.envelope.traceparent.startswith("00-")
    assert replace(fee.envelope, id="").source == "/routes/licence-fee-paid"


def test_what_can_be_no_column_goes_on_as_it_came_and_lists_and_enums_in_a_map_are_read() -> None:
    colour = {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}
    line = {"type": "record", "name": "Line", "fields": [{"name": "amount", "type": "long"}]}
    part = {"type": "record", "name": "Part", "fields": [{"name": "name", "type": "string"}]}
    kinds = {
        "lines": {"type": "array", "items": line},
        "labels": {"type": "array", "items": {"type": "map", "values": "string"}},
        "parts": {"type": "map", "values": part},
        "marks": {"type": "map", "values": {"type": "array", "items": "string"}},
        "colours": {"type": "map", "values": colour},
        "nothing": "null",
    }
    fields = [{"name": name, "type": kind} for name, kind in kinds.items()]
    name = {"type": "record", "name": "ThingDone", "namespace": "uk.hub.test"}
    registry = Registry([Schema.of(7, "test.thing.done", 1, {**name, "fields": fields})])
    data = {
        "lines": [{"amount": 1}],
        "labels": [{"a": "b"}],
        "parts": {"a": {"name": "b"}},
        "marks": {"first": ["x", "y"]},
        "colours": {"roof": "RED"},
        "nothing": None,
    }
    when = col("marks.first").list.contains("y") & (col("colours.roof") == "RED")
    route = Route(name="all", on=("test.thing.done",), when=when, to=col("ce.party"))
    engine = Engine(compile_route(route, registry), ["E08000025"], registry)
    given = Event(replace(captured(1).envelope, type="test.thing.done"), data)
    other = Event(given.envelope, {**data, "colours": {"roof": "BLUE"}})
    routed, refused = engine.run_events([given, other])
    assert not refused
    assert [made.event.data for made in routed] == [data]
