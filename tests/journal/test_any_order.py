"""Entries in any order, in any batches, any number of times, come to the same journal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, select

from hub.journal.entry import Entry
from hub.journal.store import Journal
from hub.journal.tables import dead_letters, deliveries, events, steps

few = st.sampled_from
OUTCOMES = "accepted refused translated duplicate routed unrouted delivered attempt-failed ended dead-lettered redriven"
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


def contents(path: Path) -> dict[str, set[Any]]:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        found = {
            table.name: {
                tuple(value for name, value in row._mapping.items() if name != "number")
                for row in connection.execute(select(table))
            }
            for table in (events, steps, deliveries, dead_letters)
        }
    engine.dispose()
    return found


def after(batches: Sequence[Sequence[Entry]]) -> dict[str, set[Any]]:
    with TemporaryDirectory() as folder:
        journal = Journal.open(Path(folder) / "journal.db")
        for batch in batches:
            journal.apply(batch)
        journal.close()
        return contents(Path(folder) / "journal.db")


@settings(max_examples=60, deadline=None)
@given(st.lists(anything, min_size=1, max_size=8), st.data())
def test_any_order_any_batches_and_any_repeats_end_the_same(
    entries: list[Entry], data: st.DataObject
) -> None:
    other = data.draw(st.permutations(entries)) + data.draw(st.lists(few(entries), max_size=4))
    cut = data.draw(st.integers(0, len(other)))
    assert after([entries]) == after([other[:cut], other[cut:]]) == after([[entry] for entry in other])


def test_reading_the_topic_again_changes_nothing(journal: Journal, path: Path, case: Any) -> None:
    journal.apply(case().whole())
    before = contents(path)
    journal.apply(case().whole())
    assert contents(path) == before
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
