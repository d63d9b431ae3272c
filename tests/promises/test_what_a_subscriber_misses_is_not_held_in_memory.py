"""Subscribers that are away while thousands of events come take a worker no more memory than those events do anyway."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from hub.testing.live import LiveHub
from tests.promises.inbox import BIRMINGHAM, Inbox, Switch, own_memory, workers

pytestmark = pytest.mark.long

EVENTS = 8_000
AWAY = 20

#: One of them, held with what belongs to it, is some four kilobytes: all would be six hundred megabytes.
MOST = 110 << 20


def test_eight_thousand_events_for_twenty_that_are_away(delivering: LiveHub) -> None:
    inbox, switch = Inbox(delivering, BIRMINGHAM), Switch()
    switch.down = True
    (worker,) = workers(delivering)
    with delivering.subscriber(BIRMINGHAM) as other, ExitStack() as stack:
        assert inbox.got(other, inbox.put_many(EVENTS, subjects=EVENTS // 10))
        before = own_memory(worker)
        away = [stack.enter_context(delivering.subscriber(BIRMINGHAM, switch)) for _ in range(AWAY)]
        missed = inbox.put_many(EVENTS, subjects=EVENTS // 10)
        assert inbox.got(other, missed)
        grown = own_memory(worker) - before
    assert all(one.attempts and not one.received for one in away)
    assert grown < MOST, f"{grown >> 20} MB"
