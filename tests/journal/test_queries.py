"""Searching the journal: filters, pages that stay put, kinds of failures, what happened since."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import event

from hub.journal.entry import Entry
from hub.journal.queries import NotFound, Queries
from hub.journal.store import Journal

START = 1_700_000_000.0


def ids(queries: Queries, **asked: Any) -> list[str]:
    return [item.id for item in queries.search(**asked).items]


@pytest.fixture
def searched(journal: Journal, queries: Queries, case: Any) -> Queries:
    journal.apply(case("1").whole())
    journal.apply([case("2", start=START + 60, about={"party": "dvla"}).translated()])
    return queries


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, ["paid-2", "fee-1", "paid-1"]),
        ({"type": "payments.*"}, ["paid-2", "paid-1"]),
        ({"type": "*.fee.paid"}, ["fee-1"]),
        ({"type": "licensing.fee.paid"}, ["fee-1"]),
        ({"type": "licensing_fee.paid"}, []),
        ({"type": "%"}, []),
        ({"party": "dvla"}, ["paid-2"]),
        ({"subject": "fee-1"}, ["fee-1"]),
        ({"source": "/routes/licence-fees"}, ["fee-1"]),
        ({"state": "delivered"}, ["fee-1"]),
        ({"since": START + 60}, ["paid-2"]),
        ({"until": START + 60}, ["fee-1", "paid-1"]),
        ({"party": "E08000025", "type": "payments.*", "since": START}, ["paid-1"]),
        ({"party": "' OR 1=1 --"}, []),
    ],
)  # fmt: skip
def test_a_search_finds_what_its_filters_say(
    searched: Queries, asked: dict[str, Any], found: list[str]
) -> None:
    assert ids(searched, **asked) == found


def test_pages_neither_repeat_nor_miss_when_more_arrives_meanwhile(
    journal: Journal, queries: Queries, case: Any
) -> None:
    def arrive(numbers: range) -> None:
        # three at each moment, so that pages are cut among equals
        journal.apply([case(f"{n:03}", start=START + n // 3).translated() for n in numbers])

    arrive(range(100, 150))
    page = queries.search(limit=7)
    seen = [item.id for item in page.items]
    later = 150
    while page.next:
        arrive(range(later, later + 5))
        later += 5
        page = queries.search(limit=7, cursor=page.next)
        seen += [item.id for item in page.items]
    assert seen == [f"paid-{n}" for n in sorted(range(100, 150), key=lambda n: (n // 3, n), reverse=True)]


@pytest.mark.parametrize("cursor", ["x", "x~y", "1700000000.0", "~"])
def test_a_cursor_that_is_not_ours_is_refused(queries: Queries, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        queries.search(cursor=cursor)


def test_what_is_shown_of_an_event_is_all_that_happened_to_it(searched: Queries) -> None:
    found = searched.show("fee-1")
    assert [step.outcome for step in found.steps] == [
        "routed", "attempt-failed", "attempt-failed", "delivered",
    ]  # fmt: skip
    assert [(one.subscription, one.state, one.attempts) for one in found.deliveries] == [
        ("birmingham", "delivered", 3)
    ]
    assert msgspec.json.decode(msgspec.json.encode(found))["event"]["state"] == "delivered"


@pytest.mark.parametrize("ask", ["show", "trace", "failure"])
def test_an_id_that_nobody_has_seen_is_not_found(queries: Queries, ask: str) -> None:
    with pytest.raises(NotFound):
        getattr(queries, ask)("nothing")


def test_failures_of_one_kind_are_one_group(journal: Journal, queries: Queries, dead_letter: Any) -> None:
    alike = [dead_letter(offset, at=START + offset) for offset in range(3)]
    other = dead_letter(
        9, reason="customer.email: is missing", field="customer.email", reason_class="missing"
    )
    journal.apply_dead_letters(
        [(one, ("dead-letters", 1, place)) for place, one in enumerate([*alike, other, alike[0]])]
    )
    groups = queries.failures()
    assert [(group.count, group.reason) for group in groups] == [
        (3, "payment.amount: not a whole number"),
        (1, "customer.email: is missing"),
    ]
    assert (groups[0].first_at, groups[0].last_at) == (START, START + 2)
    assert queries.failure(groups[0].sample).fingerprint == alike[0].fingerprint
    assert [one.id for one in queries.open_failures(fingerprint=other.fingerprint)] == [other.id]


def test_a_failure_says_where_it_came_from_and_where_its_record_stands(
    journal: Journal, queries: Queries, dead_letter: Any
) -> None:
    one = dead_letter(41)
    journal.apply_dead_letters([(one, ("dead-letters", 3, 5))])
    found = queries.failure(one.id)
    assert (found.origin_topic, found.origin_partition, found.origin_offset) == ("raw.govuk_pay", 0, 41)
    assert (found.position_topic, found.position_partition, found.position_offset) == ("dead-letters", 3, 5)
    assert queries.failures_of("raw-41") == [found]


@pytest.mark.parametrize("letter_first", [True, False])
def test_a_redriven_failure_is_no_longer_open_whichever_topic_was_read_first(
    journal: Journal, queries: Queries, dead_letter: Any, entry_of: Any, letter_first: bool
) -> None:
    one = dead_letter()
    steps = [
        lambda: journal.apply_dead_letters([(one, ("dead-letters", 0, 0))]),
        lambda: journal.apply([entry_of(one), entry_of(one, "redriven", at=one.at + 60)]),
    ]
    for step in steps if letter_first else reversed(steps):
        step()
    steps[0]()
    assert queries.failures() == []
    assert queries.counts().open_failures == 0
    assert queries.failure(one.id).status == "redriven"
    assert queries.show(one.event_id).event.state == "redriven"


def test_many_failures_are_marked_at_once(journal: Journal, queries: Queries, dead_letter: Any) -> None:
    many = [dead_letter(offset) for offset in range(12_000)]
    journal.apply_dead_letters([(one, ("dead-letters", 0, one.offset)) for one in many])
    queries.settle("redriven", [one.id for one in many[1:]])
    assert [one.id for one in queries.open_failures()] == [many[0].id]


def test_more_ids_than_a_statement_may_hold_are_looked_up_all_the_same(
    where: Path | str, journal: Journal, queries: Queries, dead_letter: Any
) -> None:
    # SQLite's own limit is 32,766, but some builds allow 250,000: https://sqlite.org/limits.html. PostgreSQL's is
    # 65,535: https://www.postgresql.org/docs/current/limits.html
    many = [f"nobody-{number}" for number in range(260_000 if isinstance(where, Path) else 66_000)]
    one = dead_letter(1)
    journal.apply_dead_letters([(one, ("dead-letters", 0, 0))])
    assert [found.id for found in queries.open_failures([*many, one.id])] == [one.id]
    queries.settle("redriven", [*many, one.id])
    assert queries.open_failures() == []


def test_an_id_asked_for_twice_is_one_failure(journal: Journal, queries: Queries, dead_letter: Any) -> None:
    one, other = dead_letter(1), dead_letter(2)
    journal.apply_dead_letters([(one, ("dead-letters", 0, 0)), (other, ("dead-letters", 0, 1))])
    assert [found.id for found in queries.open_failures([one.id, one.id])] == [one.id]


def test_no_question_that_is_asked_all_the_time_reads_the_whole_journal(path: Path, case: Any) -> None:
    journal, queries = Journal.open(path), Queries(path)
    journal.apply([case("1").accepted(900, raw="polled"), *case("1").whole()])
    queries.counts()  # the first looks whether its tables are there
    asked: list[tuple[str, Any]] = []
    event.listen(
        queries._database.engine, "before_cursor_execute", lambda *told: asked.append((told[2], told[3]))
    )
    queries.counts()
    queries.trace("pay-1")
    queries.show("fee-1")
    queries.tail(0, 10)
    queries.search(limit=1)
    plans = sqlite3.connect(path)
    read = [row[3] for sql, values in asked for row in plans.execute(f"EXPLAIN QUERY PLAN {sql}", values)]
    plans.close()
    journal.close()
    queries.close()
    whole = [step for step in read if step.startswith("SCAN") and "INDEX" not in step]
    assert whole == ["SCAN tallies"]
    assert any("steps_by_repeat" in step for step in read)
    assert any("deliveries_waiting" in step for step in read)


def test_counts_say_what_waits(journal: Journal, queries: Queries, case: Any, dead_letter: Any) -> None:
    journal.apply([*case("1").whole(), *case("2").whole()[:4]])
    journal.apply_dead_letters([(dead_letter(), ("dead-letters", 0, 0))])
    counts = queries.counts()
    assert counts.outcomes["deliver.attempt-failed"] == 3
    assert (counts.open_failures, counts.pending_deliveries) == (1, 1)


def test_a_tail_that_starts_now_shows_each_later_step_once(
    journal: Journal, queries: Queries, case: Any
) -> None:
    journal.apply(case("1").whole())
    last = queries.tail(-1, 10).last
    assert queries.tail(last, 10).steps == []
    journal.apply(case("1").whole())  # read again: nothing new
    journal.apply(case("2").whole())
    seen: list[str] = []
    while (found := queries.tail(last, 4)).steps:
        seen += [f"{step.event_id} {step.outcome}" for step in found.steps]
        last = found.last
    assert seen == [f"{entry.event_id} {entry.outcome}" for entry in case("2").whole()]


def test_an_entry_travels_as_small_json(case: Any) -> None:
    entry = case().attempt(30, 1, 503)
    raw = msgspec.json.encode(entry)
    assert msgspec.json.decode(raw, type=Entry) == entry
    assert b'"dead_letter"' not in raw
    later = raw.replace(b'{"at"', b'{"of_a_later_hub":1,"at"')
    assert msgspec.json.decode(later, type=Entry) == entry
