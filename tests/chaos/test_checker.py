"""The checker finds every kind of fault that is planted, whatever else came, and nothing where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.checker import Arrival, Expected, Key, Range, judge, judge_letters

keys = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 9))


def arrived(key: Key) -> Arrival:
    return Arrival(key, f"id-{key[0]}-{key[1]}")


@st.composite
def right(draw: st.DrawFn) -> tuple[Expected, list[Arrival]]:
    """A truth, and arrivals that keep every promise: in order per lane, some doubtful ones, repeats of what came."""
    must = draw(st.sets(keys, min_size=1))
    doubtful = draw(st.sets(keys))
    came = must | draw(st.sets(st.sampled_from(sorted(doubtful)))) if doubtful else must
    random = Random(draw(st.integers()))
    waiting = sorted(came, key=lambda key: (random.random(), key))
    lanes = {key[0]: iter(sorted(one for one in came if one[0] == key[0])) for key in came}
    arrivals: list[Arrival] = []
    for key in waiting:
        arrivals.append(arrived(next(lanes[key[0]])))
        if random.random() < 0.3:
            arrivals.append(random.choice(arrivals))
    return Expected(frozenset(must), frozenset(doubtful - must)), arrivals


@given(right())
def test_nothing_is_found_where_every_promise_is_kept(given: tuple[Expected, list[Arrival]]) -> None:
    expected, arrivals = given
    found = judge(expected, arrivals)
    assert found.right, found
    assert found.effects + found.repeats == len(arrivals)


@given(right(), st.data())
def test_a_lost_effect_is_found(given: tuple[Expected, list[Arrival]], data: st.DataObject) -> None:
    expected, arrivals = given
    gone = data.draw(st.sampled_from(sorted(expected.must)))
    assert judge(expected, [one for one in arrivals if one.key != gone]).lost == [gone]


@given(right(), st.data())
def test_an_effect_under_a_second_id_is_found(
    given: tuple[Expected, list[Arrival]], data: st.DataObject
) -> None:
    expected, arrivals = given
    at = data.draw(st.integers(0, len(arrivals) - 1))
    again = arrivals[at]._replace(id="another")
    found = judge(expected, [*arrivals[: at + 1], again, *arrivals[at + 1 :]])
    assert [second for _, second in found.duplicated] == [again]
    assert not found.right


@given(right())
def test_where_nothing_may_repeat_a_repeat_is_a_duplicate(given: tuple[Expected, list[Arrival]]) -> None:
    expected, arrivals = given
    strict = Expected(expected.must, expected.may, repeats=False)
    found = judge(strict, arrivals)
    assert len(found.duplicated) == judge(expected, arrivals).repeats
    assert found.repeats == 0


@given(right(), st.sampled_from(["stranger", "damaged", "nameless"]))
def test_what_nobody_sent_is_found(given: tuple[Expected, list[Arrival]], kind: str) -> None:
    expected, arrivals = given
    planted = {
        "stranger": Arrival(("elsewhere", 1), "x"),
        "damaged": arrivals[0]._replace(intact=False),
        "nameless": Arrival(None, "x"),
    }[kind]
    assert judge(expected, [*arrivals, planted]).unexpected == [planted]


@given(st.lists(st.integers(0, 50), min_size=2, max_size=20, unique=True), st.data())
def test_one_that_comes_before_an_earlier_of_its_lane_is_found(
    numbers: Sequence[int], data: st.DataObject
) -> None:
    ordered = sorted(numbers)
    at = data.draw(st.integers(0, len(ordered) - 2))
    swapped = [*ordered[:at], ordered[at + 1], ordered[at], *ordered[at + 2 :]]
    expected = Expected(frozenset(("lane", number) for number in ordered))
    found = judge(expected, [arrived(("lane", number)) for number in swapped])
    assert [late.key for late, _ in found.out_of_order] == [("lane", ordered[at])]
    assert not found.lost
    assert judge(expected, [arrived(("lane", number)) for number in ordered]).right


def test_order_is_nobodys_concern_between_lanes() -> None:
    expected = Expected(frozenset({("a", 5), ("b", 1)}))
    assert judge(expected, [arrived(("a", 5)), arrived(("b", 1))]).right


def test_what_was_perhaps_accepted_may_come_or_not_but_not_twice() -> None:
    expected = Expected(frozenset(), frozenset({("a", 1)}))
    assert judge(expected, []).right
    assert judge(expected, [arrived(("a", 1))]).right
    assert judge(expected, [arrived(("a", 1)), Arrival(("a", 1), "another")]).duplicated


def test_unknown_is_no_pass() -> None:
    found = judge(Expected(frozenset()), [])
    assert found.right
    found.unknown.append("the topic could not be read")
    assert not found.right


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3), min_size=1), st.data())
def test_dead_letters_that_must_be_and_must_not_be(truth: dict[str, int], data: st.DataObject) -> None:
    expected = {about: Range(count, count + 1) for about, count in truth.items()}
    written = [(about, f"{about}{n}") for about, count in truth.items() for n in range(count)]
    assert judge_letters(expected, written).right
    gone = data.draw(st.sampled_from(written))
    assert judge_letters(expected, [one for one in written if one != gone]).lost == [gone[0]]
    assert judge_letters(expected, [*written, gone]).duplicated == [gone]
    assert judge_letters(expected, [*written, ("stranger", "x")]).unexpected == [("stranger", "x")]
    one_more = [(gone[0], "more"), (gone[0], "too many")]
    assert judge_letters(expected, [*written, *one_more]).unexpected == [one_more[1]]
