"""Who receives from an inbox, and how one attempt is made: all that the deliver stage knows of either.

Subscriptions are recipients. Whatever else is to receive (a connector's sink, say) needs no second way of
delivering: order, retries, backlogs and restarts are the stage's, and outcomes mean the same to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import structlog

from hub.delivery.message import Message
from hub.delivery.schedule import Outcome
from hub.delivery.sender import Sender
from hub.delivery.subscription import Subscription
from hub.registry.schemas import Registry
from hub.sdk.errors import Reject
from hub.stream import topics
from hub.stream.records import Output
from hub.stream.subscriptions import Subscriptions

log = structlog.get_logger()


class Recipient(Protocol):
    """One who receives from its party's inbox."""

    @property
    def id(self) -> str:
        """Unique and for ever: how far it has come is remembered under it."""

    @property
    def created(self) -> float:
        """Epoch seconds: it gets what enters the inbox from then on."""

    @property
    def stage(self) -> str:
        """What the journal calls the giving: `deliver` or `sink`."""

    def wants(self, event_type: str) -> bool:
        """Whether events of this type go to it. Asked for every record, so quick."""

    def takes(self, message: Message) -> bool:
        """Whether this one, of a wanted type, goes to it."""

    async def send(self, message: Message) -> Outcome:
        """One attempt. May raise: that is a failed attempt, named by the exception's class."""

    def gone(self, reason: str) -> list[Output]:
        """What is written when an outcome said that it is over (HTTP 410)."""


class Recipients(Protocol):
    """All recipients of a hub."""

    def of(self, party: str) -> Sequence[Recipient]:
        """Those of a party that are not over. `Delivering.changed` is to be called when this changes."""


class Several:
    """Recipients of several kinds."""

    def __init__(self, *kinds: Recipients) -> None:
        self._kinds = kinds

    def of(self, party: str) -> Sequence[Recipient]:
        """Those of a party, of all kinds."""
        return [one for kind in self._kinds for one in kind.of(party)]


class Webhooks:
    """Subscriptions, which are sent events over HTTP."""

    def __init__(self, subscriptions: Subscriptions, sender: Sender, registry: Registry) -> None:
        self._subscriptions = subscriptions
        self._sender = sender
        self._registry = registry

    def of(self, party: str) -> Sequence[Recipient]:
        """The subscriptions of a party that are not over."""
        return [
            _Webhook(one, self._sender, self._registry)
            for one in self._subscriptions.of(party)
            if one.status == "active"
        ]


class _Webhook:
    """A subscription as it stands; one that changes is another."""

    stage = "deliver"

    def __init__(self, subscription: Subscription, sender: Sender, registry: Registry) -> None:
        self.id = subscription.id
        self.created = subscription.created
        self.wants = subscription.wants
        self._subscription = subscription
        self._sender = sender
        self._registry = registry

    def takes(self, message: Message) -> bool:
        return True

    async def send(self, message: Message) -> Outcome:
        try:
            content = message.content(self._registry)
        except Reject as reject:
            return Outcome(reason=reject.reason, final=True, kind=reject.kind, field=reject.field)
        return await self._sender.send(self._subscription, content)

    def gone(self, reason: str) -> list[Output]:
        log.warning("subscription-ended", subscription=self.id, reason=reason)
        ended = self._subscription.ended(reason)
        return [Output(topics.SUBSCRIPTIONS, self.id.encode(), ended.to_bytes(), partition=0)]
