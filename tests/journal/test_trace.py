"""One case as a tree, from raw record to delivery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hub.journal.queries import Queries
from hub.journal.rows import EventRow
from hub.journal.store import Journal
from hub.journal.tree import Node, build

START = 1_700_000_000.0


def drawn(roots: list[Node], depth: int = 0) -> str:
    """A tree as text: milliseconds since the start, label, state."""
    lines = ""
    for node in roots:
        reason = f" ({node.reason})" if node.reason else ""
        lines += f"{'  ' * depth}+{(node.at - START) * 1000:.0f} {node.label} [{node.state}]{reason}\n"
        lines += drawn(node.children, depth + 1)
    return lines


WHOLE = """\
+0 raw record from /connectors/govuk_pay/birmingham-pay [accepted]
  +12 payments.payment.captured pay-1 [translated]
    +20 licensing.fee.paid fee-1 → E08000025 by licence-fees [delivered]
      +30 attempt 1 to subscription birmingham: 503 [attempt-failed] (the subscriber is not well)
      +5100 attempt 2 to subscription birmingham: 503 [attempt-failed] (the subscriber is not well)
      +305200 attempt 3 to subscription birmingham: 200 [delivered]
"""

AGAIN = """\
+900 raw record from /connectors/govuk_pay/birmingham-pay [accepted]
  +912 payments.payment.captured pay-1 told again [duplicate]
"""


@pytest.mark.parametrize("known", ["raw-1", "paid-1", "fee-1", "case-1", "pay-1"])
def test_a_case_is_found_whole_by_any_of_its_ids(
    journal: Journal, queries: Queries, case: Any, known: str
) -> None:
    journal.apply([*case("1").whole(), *case("2").whole()])
    assert drawn(queries.trace(known)) == WHOLE


def test_a_webhook_that_cannot_be_translated_is_a_root_with_its_reason(
    journal: Journal, queries: Queries, dead_letter: Any, entry_of: Any
) -> None:
    one = dead_letter()
    journal.apply([entry_of(one), entry_of(one, "redriven", at=one.at + 60)])
    roots = queries.trace("raw-7")
    assert (
        drawn(roots)
        == """\
+0 raw record from /connectors/govuk_pay/birmingham-pay [redriven]
  +0 dead-lettered at translate [dead-lettered] (payment.amount: not a whole number)
  +60000 redriven at redrive [redriven] (payment.amount: not a whole number)
"""
    )
    assert roots[0].children[0].id == one.id


@pytest.mark.parametrize("known", ["raw-1", "polled-1", "case-1", "fee-1"])
def test_a_poll_that_told_the_same_fact_again_is_a_second_root(
    journal: Journal, queries: Queries, case: Any, known: str
) -> None:
    polled = [case().accepted(900, raw="polled"), case().translated(912, raw="polled", outcome="duplicate")]
    journal.apply([*polled, *case().whole()])
    assert drawn(queries.trace(known)) == WHOLE + AGAIN


def test_several_raw_records_of_one_case_are_roots_in_order_of_time(
    journal: Journal, queries: Queries, case: Any
) -> None:
    def links(cause: str) -> dict[str, str]:
        return {"type": "payments.payment.refunded", "correlation_id": "case-1", "causation_id": cause}

    refund = case().say(5_000, "translate", "translated", "refund", **links("later-1"))
    journal.apply([refund, case().accepted(4_000, raw="later"), *case().whole()])
    roots = queries.trace("refund-1")
    assert [(root.id, root.children[0].id) for root in roots] == [
        ("raw-1", "paid-1"),
        ("later-1", "refund-1"),
    ]


def test_one_case_does_not_drag_in_the_others_of_the_same_polled_page(
    journal: Journal, queries: Queries, case: Any
) -> None:
    page = case("page").accepted()
    mine, other = (
        case(name).say(
            9, "translate", "translated", "paid",
            type="payments.payment.captured", correlation_id=f"case-{name}", causation_id="raw-page",
        )
        for name in ("1", "2")
    )  # fmt: skip
    journal.apply([page, mine, other])
    assert [child.id for child in queries.trace("case-1")[0].children] == ["paid-1"]
    assert [child.id for child in queries.trace("raw-page")[0].children] == ["paid-1", "paid-2"]


def test_a_case_of_thousands_of_events_is_drawn_whole(
    journal: Journal, queries: Queries, where: Path | str, case: Any
) -> None:
    count = 33_000 if isinstance(where, Path) else 5_000  # over 32,766, which is a limit of SQLite alone
    links = {"type": "payments.payment.captured", "correlation_id": "file", "causation_id": "raw-file"}
    journal.apply([case(str(n)).say(n, "translate", "translated", "paid", **links) for n in range(count)])
    assert len(queries.trace("file")) == count


def test_causes_that_run_in_a_circle_lose_nothing() -> None:
    def event(id_: str, cause: str, at: float) -> EventRow:
        empty = dict.fromkeys(("source", "party", "route", "correlation_id"), "")
        told = {"type": "t", "subject": "s", "state": "translated", "first_at": at, "last_at": at}
        return EventRow(id=id_, causation_id=cause, **empty, **told)

    def all_ids(nodes: list[Node]) -> list[str]:
        return [one for node in nodes for one in (node.id, *all_ids(node.children))]

    circle = [event("b", "a", 2.0), event("a", "b", 1.0), event("own", "own", 3.0), event("free", "", 4.0)]
    assert all_ids(build(circle, [])) == ["a", "b", "own", "free"]
