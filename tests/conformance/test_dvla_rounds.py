"""A round over a council's drivers, whatever happens to the list and whomever DVLA fails for."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from connectors.dvla_driver.round import Round

NIGHT = datetime(2026, 3, 2, 2, tzinfo=UTC)

references = st.sets(st.text("ABC123", min_size=1, max_size=4), max_size=12)


@given(drivers=references, size=st.integers(1, 5), data=st.data())
def test_a_round_ends_and_asks_for_everybody_once_and_for_those_put_off_once_more(
    drivers: set[str], size: int, data: st.DataObject
) -> None:
    listed = dict.fromkeys(drivers, "")
    failing = data.draw(st.sets(st.sampled_from(sorted(drivers)))) if drivers else set()
    asked, at = [], Round.of(None, NIGHT)
    for _ in range(2 * len(drivers) + 1):
        at = Round.of(at.text(), NIGHT)  # through the cursor, as another worker would
        page, again = at.page(listed, size)
        if not page:
            break
        asked += page
        at = at.following(page, again, [each for each in page if each in failing], dict.fromkeys(page, "m"))
    else:
        raise AssertionError("the round does not end")
    assert sorted(asked) == sorted([*drivers, *failing])


@given(before=references, after=references, size=st.integers(1, 3))
def test_who_is_on_the_list_all_along_is_asked_for_however_it_changes_in_between(
    before: set[str], after: set[str], size: int
) -> None:
    asked, at, lists = [], Round.of(None, NIGHT), [before, after]
    while page := at.page(dict.fromkeys(lists[0], ""), size)[0]:
        asked += page
        at = at.following(page, False, [], {})
        lists = lists[1:] or lists
    assert before & after <= set(asked)
    assert len(set(asked)) == len(asked)


@given(drivers=references, left=references)
def test_between_two_rounds_only_those_on_the_list_are_remembered(drivers: set[str], left: set[str]) -> None:
    at = Round(at=NIGHT.isoformat(), known=dict.fromkeys(drivers | left, "m"))
    ended = at.ended(dict.fromkeys(drivers, ""))
    assert set(ended.known) == drivers
    assert Round.of(ended.text(), NIGHT).at == NIGHT.isoformat()


def test_a_round_over_fifty_thousand_drivers_has_room_whatever_dvla_answers() -> None:
    drivers = {f"TAXI-{number:05}": "" for number in range(50_000)}
    Round.of(None, NIGHT).require_room(drivers)
    Round(at=NIGHT.isoformat(), known=dict.fromkeys(drivers, "?2026-03-02abcdefgh")).require_room(drivers)
