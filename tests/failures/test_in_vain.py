"""A dead letter is not sent where nothing would come of it: it stays open, and the job says why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hub.delivery.dead_letter import DeadLetter
from hub.delivery.subscription import Subscription
from hub.loading import Loaded, load_hub
from hub.stream import topics
from hub.stream.job_runner import Done
from hub.stream.jobs import Item, Job, Jobs, Mark
from hub.stream.redrive import EDITS, Redriving
from hub.stream.subscriptions import Subscriptions
from hub.stream.works import nobody_takes

LETTER = DeadLetter(
    stage="deliver",
    reason="not delivered for as long as the inbox keeps it",
    reason_class="expired",
    topic="inbox.x",
    partition=0,
    offset=7,
    at=1.0,
    subscription="s1",
)


@dataclass(frozen=True)
class Kept:
    """A dead letter as a client gives it."""

    body: bytes = b"data"
    own: list[tuple[str, bytes]] = field(default_factory=lambda: [("ce_id", b"e1")])

    def key(self) -> bytes:
        return b"p-1"

    def value(self) -> bytes:
        return self.body

    def headers(self) -> list[tuple[str, bytes]]:
        return [*self.own, *LETTER.headers()]


@dataclass
class One:
    """Reads the one dead letter that there is."""

    kept: Kept

    def pick(self, *_: Any) -> Kept:
        return self.kept


def done(kept: Kept, kind: str = "redrive", nobody: str = "", jobs: Jobs | None = None) -> Done:
    redriving = Redriving("", One(kept), jobs or Jobs(), lambda _: [], lambda _: nobody)  # type: ignore[arg-type]
    job = Job(id="j", kind=kind, what="", total=1, rate=1, asked_at=1, reason="a test of theirs")
    return redriving.do(job, Item(LETTER.id, "dead-letters", 0, 0))


def test_what_has_nothing_that_could_be_sent_is_refused_with_the_reason() -> None:
    empty = Kept(b"", [])
    refused = done(empty)
    assert (refused.verdict, refused.outputs, refused.marks) == ("refused", (), ())
    assert "neither a value nor headers" in refused.note
    assert done(empty, "archive").verdict == "sent"


@pytest.mark.parametrize("part", ["value", "headers"])
def test_what_has_only_a_value_or_only_headers_is_sent_as_it_is(part: str) -> None:
    kept = replace(Kept(), **({"own": []} if part == "value" else {"body": b""}))
    assert (done(kept).verdict, done(kept).outputs[-1].value) == ("sent", kept.body)


def test_what_was_for_one_who_is_there_no_more_is_refused_with_the_reason() -> None:
    refused = done(Kept(), nobody="it is there no more")
    assert (refused.verdict, refused.outputs) == ("refused", ())
    assert refused.note == "it is there no more"
    assert done(Kept(), "archive", nobody="it is there no more").verdict == "sent"


@pytest.fixture(scope="module")
def loaded(root: Path) -> Loaded:
    return load_hub(root / "hub.yaml")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"subscription": "s1"}, ""),
        ({"subscription": "s2"}, "subscription or sink that is there no more"),
        ({"subscription": "ended"}, "subscription or sink that is there no more"),
        ({"subscription": "", "route": "own-payments"}, ""),
        ({"subscription": "", "route": "of-last-year"}, "route of-last-year, which is there no more"),
        ({"subscription": "", "topic": "raw.govuk_pay"}, ""),
        ({"subscription": "", "topic": "raw.sold"}, "raw.sold, which nobody reads any more"),
        ({"subscription": "", "topic": "events.payments"}, ""),
        ({"subscription": "", "topic": "inbox.closed"}, "inbox.closed, which nobody reads any more"),
    ],
)
def test_whom_a_dead_letter_is_for_is_looked_up_in_what_is_there_today(
    loaded: Loaded, changed: dict[str, str], told: str
) -> None:
    subscriptions = Subscriptions()
    for name, status in (("s1", "active"), ("ended", "ended")):
        one = Subscription(id=name, party=next(iter(loaded.settings.config.parties)), url="", status=status)
        subscriptions.change(name, msgspec.json.encode(one))
    inbox = topics.inbox(next(iter(loaded.settings.config.parties)))
    letter = msgspec.structs.replace(LETTER, **{"topic": inbox, **changed})
    reason = nobody_takes(subscriptions, loaded)(letter)
    assert told in reason
    assert bool(reason) == bool(told)


@pytest.mark.parametrize("outcome", ["redriven", "archived"])
@pytest.mark.parametrize("kind", ["redrive", "archive"])
def test_an_edited_copy_of_what_is_settled_is_not_sent_and_not_open_for_ever(kind: str, outcome: str) -> None:
    jobs = Jobs()
    jobs.take_marks([("original", Mark(outcome=outcome, at=1.0, job="before"))])
    kept = replace(Kept(), own=[("ce_id", b"e1"), (EDITS, b"original")])
    found = done(kept, kind, jobs=jobs)
    assert (found.verdict, [(name, mark.outcome) for name, mark in found.marks]) == (
        "repeated",
        [(LETTER.id, outcome)],
    )
    assert {one.topic for one in found.outputs} == {topics.JOBS, topics.JOURNAL}
