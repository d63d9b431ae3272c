"""Cases, events and failures as the terminal shows them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import typer

from hub.cli import drawing, listen
from hub.cli.events import step_line
from hub.cli.tables import table
from hub.delivery.receiver import Received
from hub.journal.queries import Queries
from hub.journal.store import Journal

START = 1_700_000_000.0


@pytest.fixture(autouse=True)
def _in_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing.time, "localtime", drawing.time.gmtime)


def as_sent(rows: Any) -> Any:
    """As the gateway's JSON brings it to the command."""
    return msgspec.json.decode(msgspec.json.encode(rows))


def test_a_licence_fee_that_two_attempts_could_not_deliver_is_drawn_to_its_delivery(
    journal: Journal, queries: Queries, case: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    journal.apply(case().whole())
    drawing.trace_tree(as_sent(queries.trace("pay-1")))
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "case, from 2023-11-14 22:13:20",
        "└── +0 ms  raw record from /connectors/govuk_pay/birmingham-pay  accepted",
        "    └── +12 ms  payments.payment.captured pay-1  translated",
        "        └── +20 ms  licensing.fee.paid fee-1 → E08000025 by licence-fees  delivered",
        "            ├── +30 ms  attempt 1 to subscription birmingham: 503  attempt-failed"
        " (the subscriber is not well)",
        "            ├── +5,100 ms  attempt 2 to subscription birmingham: 503  attempt-failed"
        " (the subscriber is not well)",
        "            └── +305,200 ms  attempt 3 to subscription birmingham: 200  delivered",
    ]


def test_a_dead_letter_at_translate_is_drawn_with_its_reason(
    journal: Journal,
    queries: Queries,
    dead_letter: Any,
    entry_of: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    journal.apply([entry_of(dead_letter())])
    drawing.trace_tree(as_sent(queries.trace("raw-7")))
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "case, from 2023-11-14 22:13:20",
        "└── +0 ms  raw record from /connectors/govuk_pay/birmingham-pay  dead-lettered",
        "    └── +0 ms  dead-lettered at translate  dead-lettered (payment.amount: not a whole number)",
    ]


@pytest.mark.parametrize("text", ["[red]", "[/]", "[link=x]y[/link]", "[bold", "ends in \\\\"])
def test_what_came_from_outside_is_text_and_never_markup(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    node = {"label": text, "state": text, "reason": text, "at": START, "children": []}
    event = {"first_at": START, **dict.fromkeys(("type", "subject", "party", "state", "id"), text)}
    kind = dict.fromkeys(("fingerprint", "stage", "reason", "party", "sample"), text)
    letter = {"at": START, **dict.fromkeys(("stage", "reason", "type", "subject", "party", "id"), text)}
    for draw, row, times in (
        (drawing.trace_tree, node, 3),
        (drawing.events_table, event, 5),
        (drawing.failures_table, {"count": 1, "parties": 1, "first_at": START, "last_at": START, **kind}, 5),
        (drawing.letters_table, letter, 6),
    ):
        draw([row])
        assert capsys.readouterr().out.count(text) == times


def test_what_came_from_outside_gives_the_terminal_no_orders(capsys: pytest.CaptureFixture[str]) -> None:
    label = "pay-\x1b]0;owned\x07\x9b2J\rgone"
    drawing.trace_tree([{"label": label, "state": "routed", "reason": "", "at": START, "children": []}])
    said = capsys.readouterr().out
    assert not set(said) & {"\x1b", "\x07", "\x9b", "\r"}
    assert "owned" in said


@pytest.mark.parametrize("text", ["http://[fd00::5]:9000/", "not [/x] a number"])
def test_any_table_shows_what_it_is_given(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    table(["url"], [[text]])
    assert text in capsys.readouterr().out


def test_a_step_and_a_delivery_give_the_terminal_no_orders_either(capsys: pytest.CaptureFixture[str]) -> None:
    subject = "pay-\x1b]0;owned\x07\x9b2J"
    typer.echo(step_line({"at": START, "outcome": "delivered", "subject": subject}))
    listen._print(Received("evt-1", {"subject": subject}, {}, START, {}, b""), as_json=False)
    said = capsys.readouterr().out
    assert not set(said) & {"\x1b", "\x07", "\x9b"}
    assert said.count("owned") == 2


def test_an_empty_journal_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    drawing.events_table([])
    drawing.failures_table([])
    drawing.trace_tree([])
    assert capsys.readouterr().out.split("\n") == ["no events yet", "no failures", ""]
