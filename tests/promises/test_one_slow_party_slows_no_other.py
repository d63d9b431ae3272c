"""A party whose subscriber hangs, with a flood in its inbox, costs neither other parties nor its own others time."""

from __future__ import annotations

import pytest

from hub.testing.live import LiveHub
from tests.promises.inbox import BIRMINGHAM, WESTMINSTER, Inbox, Switch

pytestmark = pytest.mark.long

PER_SECOND = 60
FLOOD = 5_000

#: How much later the slowest hundredth may come than before, seconds.
NO_MATTER = 0.25


def test_one_that_hangs_with_a_flood_before_it(delivering: LiveHub) -> None:
    slow_party, other_party = Inbox(delivering, BIRMINGHAM), Inbox(delivering, WESTMINSTER)
    switch = Switch()
    with (
        delivering.subscriber(BIRMINGHAM, switch) as slow,
        delivering.subscriber(WESTMINSTER) as other,
    ):
        before = other_party.pace(5, PER_SECOND)
        assert other_party.got(other, before)
        switch.hangs(True)
        flood = slow_party.put_many(FLOOD, subjects=500)
        with delivering.subscriber(BIRMINGHAM) as beside:
            meanwhile = other_party.pace(8, PER_SECOND)
            there = slow_party.pace(3, PER_SECOND, prefix="b")
            assert other_party.got(other, meanwhile)
            assert slow_party.got(beside, there)
            assert not slow_party.got(slow, flood, 0)
            switch.hangs(False)
            assert slow_party.got(slow, [*flood, *there])
        assert slow_party.in_order(slow)
    usual = other_party.late(other, before)
    assert other_party.late(other, meanwhile) < usual + NO_MATTER
    assert slow_party.late(beside, there) < usual + NO_MATTER
