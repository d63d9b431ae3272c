"""What it missed comes when it is back: all of it, once, in order; and nobody else waited for that."""

from __future__ import annotations

import pytest

from hub.testing.live import LiveHub
from tests.promises.conftest import SPEED
from tests.promises.inbox import BIRMINGHAM, Inbox, Switch

pytestmark = pytest.mark.long

HOUR = 3_600 / SPEED
PER_SECOND = 60

#: How much later the slowest hundredth of somebody else's events may come than before, seconds.
NO_MATTER = 0.25


def test_it_misses_nothing_and_delays_nobody(delivering: LiveHub) -> None:
    inbox, switch = Inbox(delivering, BIRMINGHAM), Switch()
    with delivering.subscriber(BIRMINGHAM, switch) as away, delivering.subscriber(BIRMINGHAM) as other:
        before = inbox.pace(5, PER_SECOND)
        assert inbox.got(away, before)
        switch.down = True
        meanwhile = inbox.pace(HOUR, PER_SECOND)
        assert not inbox.got(away, meanwhile, 0)
        attempts = away.attempts
        switch.down = False
        after = inbox.pace(5, PER_SECOND)
        everything = [*before, *meanwhile, *after]
        assert inbox.got(away, everything)
        assert inbox.got(other, everything)
    assert attempts < len(before) + len(meanwhile) / 2, "it was not left alone"
    for receiver in (away, other):
        assert inbox.repeats(receiver) == 0
        assert inbox.in_order(receiver)
    usual = inbox.late(other, before)
    assert inbox.late(other, meanwhile) < usual + NO_MATTER
    assert inbox.late(other, after) < usual + NO_MATTER
