"""Ways through a list: no moment is left out between two rounds, and links are read as the standard has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.sdk import Validators, Window, header_link, next_link

START = datetime(2026, 1, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(0, 3)), min_size=1, max_size=20), st.integers(0, 120)
)
def test_rounds_leave_no_moment_out_and_reach_back_as_far_as_asked(
    rounds: list[tuple[int, int]], overlap_minutes: int
) -> None:
    now, cursor, overlap = START, None, timedelta(minutes=overlap_minutes)
    covered_to = START - HOUR
    for minutes, pages in rounds:
        now += timedelta(minutes=minutes)
        first = Window.current(cursor, now, HOUR, overlap)
        assert first.page == 1
        if cursor is not None:
            assert first.start <= covered_to - overlap + timedelta(0)
        for page in range(pages):
            window = Window.current(cursor, now + timedelta(minutes=page), HOUR, overlap)
            if page:
                assert (window.start, window.end) == (first.start, first.end), "a round's window moved"
            cursor = window.following(more=True, at=f"token {page}")
        window = Window.current(cursor, now, HOUR, overlap) if pages else first
        assert window.end == first.end
        cursor = window.following(more=False)
        covered_to = first.end


@pytest.mark.parametrize(
    ("header", "target"),
    [
        ('<https://x/2>; rel="next"', "https://x/2"),
        ("<https://x/2>; rel=next", "https://x/2"),
        ('<https://x/1>; rel="prev", <https://x/3>; rel="next last"; title="a, b"', "https://x/3"),
        ('<https://x/2>; rel="NEXT"', "https://x/2"),
        ('<https://x/2>; rel="nextish"', ""),
        ("nonsense", ""),
        ("", ""),
    ],
)
def test_the_next_link_of_a_header(header: str, target: str) -> None:
    assert header_link(header) == target


@pytest.mark.parametrize(
    ("answer", "link"),
    [
        ({"links": {"next": "/2"}}, "/2"),
        ({"links": {"next": {"href": "/2"}}}, "/2"),
        ({"links": {}}, ""),
        ({"links": None}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_the_next_link_of_a_body(answer: object, link: str) -> None:
    assert next_link(answer) == link


def test_validators_survive_being_a_cursor() -> None:
    told = Validators.of({"etag": '"abc"', "last-modified": "Sun, 25 Jan 2026 10:00:00 GMT"})
    assert Validators.of_cursor(told.text()) == told
    assert told.headers()["If-None-Match"] == '"abc"'
    assert Validators.of_cursor(None).headers() == {}
