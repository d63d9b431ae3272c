"""What enters an inbox after a subscription was made comes to it, though a worker hears of it late and dies over it."""

from __future__ import annotations

import time

from confluent_kafka import Producer

from hub.delivery.receiver import Receiver
from hub.delivery.subscription import Subscription
from hub.stream import topics
from hub.testing.live import LiveHub
from tests.promises.inbox import BIRMINGHAM, Inbox, kill_workers

EARLIER, SINCE = 1_000, 4_000

#: What was delivered and not written when a worker died comes again: those of one writing, and those under way.
AGAIN = 500


def test_workers_that_die_in_the_middle_of_catching_up(hub: LiveHub) -> None:
    inbox = Inbox(hub, BIRMINGHAM)
    earlier = inbox.put_many(EARLIER, subjects=100)
    time.sleep(0.01)  # Kafka's times are in milliseconds
    made = time.time()
    time.sleep(0.01)
    wanted = inbox.put_many(SINCE, subjects=400)
    new = Receiver(verifying=False)  # nobody is told the secret of a subscription that is made so
    with new.running() as url:
        _heard_of(hub, Subscription(id="made-earlier", party=BIRMINGHAM, url=url, created=made))
        for progress in (1, SINCE // 4, SINCE // 2):
            assert new.wait(lambda received, enough=progress: len(received) >= enough, 60)
            kill_workers(hub)
        assert inbox.got(new, wanted)
        hub.client.delete("/v1/subscriptions/made-earlier")
    assert not set(earlier) & {one.id for one in new.received}
    assert inbox.in_order(new)
    assert inbox.repeats(new) <= 3 * AGAIN


def _heard_of(hub: LiveHub, subscription: Subscription) -> None:
    """The workers hear of a subscription only now."""
    producer = Producer({"bootstrap.servers": hub.client_kafka})
    producer.produce(topics.SUBSCRIPTIONS, subscription.to_bytes(), subscription.id.encode(), 0)
    assert producer.flush(30) == 0
