"""Entries in any order, in any batches, any number of times, come to the same journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from hub.journal.database import Database
from hub.journal.entry import Entry
from hub.journal.queries import Queries
from hub.journal.store import Journal
from hub.journal.tables import dead_letters, deliveries, events, steps, tallies
from hub.journal.tree import Node
from tests.journal.conftest import Fresh

few = st.sampled_from
OUTCOMES = (
    "accepted refused translated duplicate routed unrouted delivered attempt-failed ended dead-lettered"
)
OUTCOMES += " redriven archived replayed"
anything = st.builds(
    Entry,
    at=few([1.0, 1.5, 2.0]),
    stage=few(["translate", "route", "deliver"]),
    outcome=few([*OUTCOMES.split(), "of a later hub"]),
    event_id=few(["a", "b", ""]),
    type=few(["", "payments.payment.captured", "licensing.fee.paid"]),
    subject=few(["", "pay-1"]),
    correlation_id=few(["", "case-1"]),
    causation_id=few(["", "a", "raw-1", "raw-2"]),
    route=few(["", "licence-fees"]),
    subscription=few(["", "s1", "s2"]),
    attempt=few([0, 1, 2]),
    status=few([0, 200, 503]),
    reason=few(["", "no answer"]),
    dead_letter=few(["", "d1"]),
)


def contents(where: Path | str) -> dict[str, set[Any]]:
    database = Database(where)
    with database.reading() as connection:
        found = {
            table.name: {
                tuple(value for name, value in row._mapping.items() if name != "number")
                for row in connection.execute(select(table))
            }
            for table in (events, steps, deliveries, dead_letters, tallies)
        }
    database.close()
    return found


def after(batches: Sequence[Sequence[Entry]], where: Path | str) -> dict[str, set[Any]]:
    journal = Journal.open(where)
    for batch in batches:
        journal.apply(batch)
    journal.close()
    return contents(where)


@settings(max_examples=25, deadline=None)
@given(st.lists(anything, min_size=1, max_size=8), st.data())
def test_any_order_any_batches_and_any_repeats_end_the_same(
    emptied: Fresh, entries: list[Entry], data: st.DataObject
) -> None:
    other = data.draw(st.permutations(entries)) + data.draw(st.lists(few(entries), max_size=4))
    cut = data.draw(st.integers(0, len(other)))
    once, in_two, one_by_one = [entries], [other[:cut], other[cut:]], [[entry] for entry in other]
    assert after(once, emptied()) == after(in_two, emptied()) == after(one_by_one, emptied())


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(anything, max_size=6), min_size=1, max_size=4))
def test_the_tallies_are_what_counting_every_step_would_say(
    emptied: Fresh, batches: list[list[Entry]]
) -> None:
    found = after([*batches, *batches[::-1]], emptied())
    distinct = {msgspec.json.encode(entry): entry for batch in batches for entry in batch}
    said = Counter((entry.stage, entry.outcome) for entry in distinct.values())
    assert found["tallies"] == {(*kind, count) for kind, count in said.items()}


def trees(entries: Sequence[Entry], where: Path | str) -> tuple[list[Node], list[str]]:
    journal, queries = Journal.open(where), Queries(where)
    for entry in entries:
        journal.apply([entry])
    found = queries.trace("case-1"), [step.outcome for step in queries.show("fee-1").steps]
    journal.close()
    queries.close()
    return found


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_what_happened_in_one_instant_is_drawn_alike_in_whatever_order_it_came(
    case: Any, emptied: Fresh, data: st.DataObject
) -> None:
    fee = case().attempt
    instant = [case().accepted(0), case().translated(0), case().routed(0), fee(0, 1, 503), fee(0, 2, 200)]
    links = {"correlation_id": "case-1", "causation_id": "paid-1"}
    others = [
        case().say(0, "route", "routed", name, type="licensing.fee.noticed", route=name, **links)
        for name in ("notice", "ledger")
    ]
    entries = [*instant, *others, fee(0, 1, 503, "solihull"), fee(0, 2, 503, "solihull")]
    assert trees(data.draw(st.permutations(entries)), emptied()) == trees(entries, emptied())


def test_reading_the_topic_again_changes_nothing(journal: Journal, where: Path | str, case: Any) -> None:
    journal.apply(case().whole())
    before = contents(where)
    journal.apply(case().whole())
    assert contents(where) == before
    assert len(before["steps"]) == 6


def test_a_delivery_told_before_its_route_ends_as_delivered(
    journal: Journal, queries: Any, case: Any
) -> None:
    journal.apply(list(reversed(case().whole())))
    found = queries.show("fee-1")
    assert (found.event.state, found.event.route) == ("delivered", "licence-fees")
    assert [(one.state, one.attempts) for one in found.deliveries] == [("delivered", 3)]


def test_a_fact_told_twice_keeps_its_first_cause_and_its_state(
    journal: Journal, queries: Any, case: Any
) -> None:
    again = case().translated(900, raw="polled", outcome="duplicate")
    journal.apply([again, *case().whole()])
    found = queries.show("paid-1").event
    assert (found.causation_id, found.state) == ("raw-1", "translated")


def test_a_route_that_failed_on_an_event_is_not_the_route_it_came_by(
    journal: Journal, queries: Any, case: Any
) -> None:
    failed = case().say(15, "route", "dead-lettered", "paid", route="licence-fees", dead_letter="d1")
    journal.apply([case().translated(), failed])
    assert queries.show("paid-1").event.route == ""


def test_what_has_no_id_is_counted_and_is_no_event(journal: Journal, queries: Any) -> None:
    journal.apply([Entry(at=1.0, stage="translate", outcome="dead-lettered", event_id="", dead_letter="d1")])
    assert queries.counts().outcomes == {"translate.dead-lettered": 1}
    assert queries.search().items == []


def test_a_delivery_of_no_event_is_no_delivery(journal: Journal, where: Path | str) -> None:
    journal.apply([Entry(at=1.0, stage="deliver", outcome="attempt-failed", event_id="", subscription="s1")])
    assert contents(where)["deliveries"] == set()
