"""Dead letters: never twice for one failure, grouped by kind, and sent again as they were."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.delivery.dead_letter import DeadLetter, fingerprint, own_headers

BASE = DeadLetter(
    stage="translate",
    reason="payment.amount: not a whole number",
    reason_class="int_type",
    topic="raw.govuk_pay",
    partition=3,
    offset=42,
    at=1_700_000_000.125,
    field="payment.amount",
    connector="govuk_pay",
)
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


def changed(**fields: object) -> DeadLetter:
    return msgspec.structs.replace(BASE, **({"id": "", "fingerprint": ""} | fields))


@given(texts, texts, texts, st.integers(0, 2**31), st.floats(allow_nan=False, allow_infinity=False))
def test_it_survives_kafka_headers(reason: str, subject: str, route: str, number: int, at: float) -> None:
    letter = changed(
        reason=reason, subject=subject, route=route, offset=number, schema_id=number, attempts=number, at=at
    )
    assert DeadLetter.from_headers(letter.headers()) == letter


def test_the_records_own_headers_are_kept_and_come_back_for_sending_again() -> None:
    own: list[tuple[str, bytes | None]] = [("ce_id", b"1"), ("ce_id", b"2"), ("empty", None)]
    assert own_headers([*own, *BASE.headers()]) == own
    assert DeadLetter.from_headers([*own, *BASE.headers()]) == BASE


def test_the_same_failure_twice_is_one_dead_letter() -> None:
    assert changed(at=1.0, reason="worded otherwise", attempts=9).id == BASE.id


@pytest.mark.parametrize(
    "difference",
    [
        {"offset": 43}, {"partition": 4}, {"topic": "raw.other"}, {"stage": "route"},
        {"route": "fees"}, {"subscription": "s1"}, {"connector": "other"},
    ],
)  # fmt: skip
def test_another_record_or_place_is_another_dead_letter(difference: dict[str, object]) -> None:
    assert changed(**difference).id != BASE.id


def test_one_kind_of_failure_has_one_fingerprint_whichever_record_it_was() -> None:
    alike = [
        changed(offset=7, event_id="e", subject="p-9", party="E08000025", reason="another value"),
        changed(at=5.0, attempts=3, source="/connectors/govuk_pay/leeds"),
    ]
    assert {letter.fingerprint for letter in alike} == {BASE.fingerprint}
    assert len(BASE.fingerprint) == 12


def test_another_kind_of_failure_has_another_fingerprint() -> None:
    kinds = [
        BASE,
        changed(stage="route"),
        changed(reason_class="missing"),
        changed(field="id"),
        changed(route="r"),
    ]
    assert len({letter.fingerprint for letter in kinds}) == len(kinds)


def test_a_position_in_a_list_does_not_make_another_kind() -> None:
    assert fingerprint("t", "c", "k", "items.3.amount") == fingerprint("t", "c", "k", "items.17.amount")
    assert fingerprint("t", "c", "k", "items[3].amount") == fingerprint("t", "c", "k", "items[4].amount")
    assert fingerprint("t", "c", "k", "line1") != fingerprint("t", "c", "k", "line2")


def test_fingerprints_stay_the_same_over_releases() -> None:
    # A literal, since people and the journal refer to it.
    assert fingerprint("deliver", "fees", "http-500") == "e02fddde8840"


def test_a_reason_cannot_break_a_log_line_or_fill_it() -> None:
    letter = changed(reason="bad\r\n2026 INFO all is well\x1b[2J" + "x" * 9_000)
    assert letter.reason.startswith("bad 2026 INFO")
    assert letter.reason.isprintable()
    assert len(letter.reason) == 500


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ([], "stage"),
        ([*BASE.headers(), ("hub-dl-partition", b"secret")], "partition"),
        ([*BASE.headers(), ("hub-dl-stage", b"\xff")], "hub-dl-stage"),
    ],
)
def test_broken_headers_are_refused_naming_the_field(headers: list[tuple[str, bytes]], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        DeadLetter.from_headers(headers)
    assert "secret" not in str(caught.value)
