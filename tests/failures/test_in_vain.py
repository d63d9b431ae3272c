"""A dead letter is not sent where nothing would come of it: it stays open, and the job says why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from hub.delivery.dead_letter import DeadLetter
from hub.stream.job_runner import Done
from hub.stream.jobs import Item, Job, Jobs
from hub.stream.redrive import Redriving

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


def done(kept: Kept, kind: str = "redrive", recipients: tuple[str, ...] = ("s1",)) -> Done:
    redriving = Redriving("", One(kept), Jobs(), lambda _: [], recipients.__contains__)  # type: ignore[arg-type]
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
    refused = done(Kept(), recipients=("s2",))
    assert (refused.verdict, refused.outputs) == ("refused", ())
    assert "there no more" in refused.note
    assert done(Kept(), "archive", recipients=()).verdict == "sent"
