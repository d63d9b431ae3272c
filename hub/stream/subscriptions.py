"""The subscriptions as they stand in their topic, by party and by id."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import structlog

from hub.delivery.subscription import Subscription
from hub.stream import topics
from hub.stream.following import Follower

log = structlog.get_logger()


class Subscriptions(Follower):
    """A read model that follows `hub.subscriptions`. `on_change` is called, on its thread, after every change."""

    topic = topics.SUBSCRIPTIONS

    def __init__(self, on_change: Callable[[], object] | None = None) -> None:
        self._by_id: dict[str, Subscription] = {}
        self._by_party: dict[str, tuple[Subscription, ...]] = {}
        self._on_change = on_change or (lambda: None)

    def change(self, key: str, value: bytes | None) -> None:
        """Take in one record of the topic."""
        try:
            subscription = None if value is None else Subscription.from_bytes(value)
        except ValueError as error:
            log.error("subscription-unreadable", subscription=key, reason=str(error))
            return
        before = self._by_id.get(key)
        if subscription is not None:
            self._by_id[key] = subscription
        elif before is not None:
            del self._by_id[key]
        for party in {one.party for one in (before, subscription) if one is not None}:
            self._by_party[party] = tuple(one for one in self._by_id.values() if one.party == party)
        self._on_change()

    def of(self, party: str) -> Iterable[Subscription]:
        """The subscriptions of a party."""
        return self._by_party.get(party, ())

    def get(self, subscription_id: str) -> Subscription | None:
        """One by id."""
        return self._by_id.get(subscription_id)

    def all(self) -> list[Subscription]:
        """All, oldest first."""
        return sorted(self._by_id.values(), key=lambda one: (one.created, one.id))
