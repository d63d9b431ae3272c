"""Identifiers at the edge: what is flagged, what is refused, and what stands for what today."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.sdk.identifiers import (
    NhsNumber,
    current_gss,
    driving_licence_number,
    gss_area,
    postcode,
    uprn,
    vehicle_mark,
)


def test_nhs_numbers_are_told_sound_or_not_as_the_vectors_say(samples: Path) -> None:
    vectors = json.loads((samples / "nhs_number" / "vectors.json").read_text())
    for text in [*vectors["valid"], *vectors["valid_formatted"]]:
        number = NhsNumber.read(text)
        assert number is not None and number.sound, text
    for one in vectors["invalid"]:
        number = NhsNumber.read(one["n"])
        assert number is None or not number.sound, one


@given(st.integers(0, 9), st.integers(0, 8), st.integers(1, 9))
def test_one_wrong_digit_is_always_noticed(start: int, place: int, more: int) -> None:
    digits = f"{start}434765919"[:10].ljust(10, "0")
    sound = next(
        (found for last in "0123456789" if (found := NhsNumber.read(digits[:9] + last)) and found.sound), None
    )
    if sound is None:  # of one in eleven there is none
        return
    wrong = [*sound.digits]
    wrong[place] = str((int(wrong[place]) + more) % 10)
    changed = NhsNumber.read("".join(wrong))
    assert changed is not None and not changed.sound


@pytest.mark.parametrize("text", ["", "12345", "94347659190", "943476591x", "\uff19" * 10])
def test_what_is_not_ten_digits_is_no_nhs_number(text: str) -> None:
    assert NhsNumber.read(text) is None


def test_a_council_that_went_stands_for_its_successors() -> None:
    birmingham = gss_area("E08000025")
    assert birmingham is not None and birmingham.name == "Birmingham"
    assert current_gss("E08000025") == ("E08000025",)
    gone = [code for code in ("E07000026", "E10000006") if gss_area(code)]
    assert gone, "the districts of Cumbria are known"
    for code in gone:
        now = current_gss(code)
        assert now and code not in now
        assert all(current_gss(one) == (one,) for one in now)


@pytest.mark.parametrize("text", ["", "E0800002", "X08000025", "e08000025"])
def test_what_is_no_gss_code_stands_for_nothing(text: str) -> None:
    assert current_gss(text) == ()


@pytest.mark.parametrize(
    ("text", "read"),
    [("b1 1bb", "B1 1BB"), ("SW1A1AA", "SW1A 1AA"), ("gir 0aa", "GIR 0AA"), ("B1 1CB", None), ("", None)],
)
def test_postcodes(text: str, read: str | None) -> None:
    assert postcode(text) == read


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (
            uprn,
            {"000100023336956": None, "100023336956": "100023336956", "0012": "12"},
            ["", "0", "12a", "1" * 13],
        ),
        (
            driving_licence_number,
            {"morga 657054 sm9ij": "MORGA657054SM9IJ"},
            ["", "MORGA657054SM9I", "1" * 16],
        ),
        (vehicle_mark, {"ab12 cde": "AB12CDE", "A1": "A1"}, ["", "ABC", "123", "AB12CDEF"]),
    ],
)
def test_others_by_their_shape(check: object, good: dict[str, str | None], bad: list[str]) -> None:
    assert callable(check)
    assert {text: check(text) for text in good} == good
    assert not [text for text in bad if check(text) is not None]
