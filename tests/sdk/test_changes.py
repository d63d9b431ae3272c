"""A poller passes on what changed, and never forgets what was not committed."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.sdk import Changes


def page(
    changes: Changes, cursor: str | None, following: str, *items: dict[str, Any]
) -> list[dict[str, Any]]:
    changes.resume(cursor)
    chosen = changes.select(items, "id")
    changes.offer(cursor, following)
    return chosen


_A, _B = {"id": "a", "state": 1}, {"id": "b", "state": 1}


def test_what_was_committed_is_passed_on_once() -> None:
    changes = Changes()
    assert page(changes, None, "1", _A, _B) == [_A, _B]
    assert page(changes, "1", "2", _A, _B) == []
    assert page(changes, "2", "3", _A, {**_B, "state": 2}) == [{**_B, "state": 2}]


def test_what_was_not_committed_is_passed_on_again() -> None:
    changes = Changes()
    assert page(changes, None, "1", _A) == [_A]
    assert page(changes, None, "1", _A) == [_A]


def test_a_cursor_that_does_not_move_says_nothing_about_commits() -> None:
    changes = Changes()
    assert page(changes, "1", "1", _A) == [_A]
    assert page(changes, "1", "1", _A) == [_A]


def test_a_cursor_set_back_brings_everything_again() -> None:
    changes = Changes()
    page(changes, None, "1", _A)
    page(changes, "1", "2", _B)
    assert page(changes, None, "1", _A) == [_A]


def test_fields_that_change_without_meaning_are_ignored() -> None:
    changes = Changes(ignoring=("token",))
    page(changes, None, "1", {**_A, "token": 1})
    assert page(changes, "1", "2", {**_A, "token": 2}) == []


def test_what_is_remembered_is_bounded() -> None:
    changes = Changes(limit=1)
    page(changes, None, "1", _A, _B)
    assert page(changes, "1", "2", _A, _B) == [_A]


@given(st.lists(st.tuples(st.lists(st.integers(0, 4), max_size=4), st.booleans()), max_size=12))
def test_every_state_of_every_item_is_committed_whatever_fails(rounds: list[tuple[list[int], bool]]) -> None:
    changes, cursor = Changes(), "0"
    committed: set[tuple[str, int]] = set()
    for at, (states, succeeds) in enumerate(rounds, start=1):
        items = [{"id": str(name), "state": state} for name, state in enumerate(states)]
        chosen = page(changes, cursor, str(at), *items)
        if succeeds:
            committed |= {(item["id"], item["state"]) for item in chosen}
            cursor = str(at)
            assert {(item["id"], item["state"]) for item in items} <= committed
