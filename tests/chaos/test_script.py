"""Scripts come from their seed alone; faults that touch the same are never at work together; bodies are genuine."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.govuk_pay.mapping import webhook_facts
from connectors.govuk_pay.records import PayWebhook
from hub.sdk.errors import Reject
from tests.chaos import script
from tests.chaos.faults import FAULTS
from tests.chaos.payloads import Payloads, amount_of, description_of, reference_of
from tests.chaos.receivers import arrival_of
from tests.chaos.truth import CAPTURED, REFUNDED, Lane, Truth

EVENTS = 10_000


@given(st.integers(), st.lists(st.sampled_from(sorted(FAULTS)), max_size=60))
@settings(deadline=None)
def test_every_fault_strikes_once_and_none_in_bad_company(seed: int, names: list[str]) -> None:
    acts = script.write(seed, names, EVENTS)
    assert sorted(name for act in acts for name in act.faults) == sorted(names)
    assert acts == script.write(seed, names, EVENTS)
    assert [act.at for act in acts] == sorted(act.at for act in acts)
    for act in acts:
        for one, other in combinations(act.faults, 2):
            assert FAULTS[one].touches.isdisjoint(FAULTS[other].touches)


@pytest.mark.parametrize("number", [0, 1, 17])
def test_a_message_says_who_it_is_and_the_hub_reads_it_so(number: int) -> None:
    lane = Lane("s000001n00000001", "E08000025")
    (fact,) = webhook_facts(PayWebhook.model_validate_json(Payloads().body(lane, number)))
    assert fact.subject == lane.subject
    data = fact.data.model_dump()
    assert data["amount"] == amount_of(lane.subject)
    assert data["reference"] == reference_of(lane.subject)
    event = {
        "id": "x",
        "type": REFUNDED if number else CAPTURED,
        "subject": fact.subject,
        "data": data,
    }
    told = arrival_of(event, "x")
    assert told.key == (f"payment:{lane.subject}", number)
    assert told.intact
    event["data"] = {**data, "description": description_of(number + 1)}
    assert not arrival_of(event, "x").intact


def test_no_event_can_be_made_of_any_poison() -> None:
    lane, payloads = Lane("s000001n00000001", "E08000025"), Payloads()
    bodies = {payloads.poison(lane, f"poison-{n}", Random(n)) for n in range(200)}
    for body in bodies:
        with pytest.raises((Reject, ValueError, RecursionError)):
            list(webhook_facts(PayWebhook.model_validate_json(body)))


def test_a_lane_that_ended_in_doubt_may_have_one_more() -> None:
    truth = Truth({"x": Lane("x", "E08000025", accepted=2, doubtful=True)})
    expected = truth.expected("E08000025", repeats=True)
    assert expected.must == {("payment:x", 0), ("fee:x", 0), ("payment:x", 1)}
    assert expected.may == {("payment:x", 2)}
    assert truth.expected("E09000033", repeats=True).must == frozenset()
