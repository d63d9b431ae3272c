"""What every sink of care messages does, whatever carries them: it leaves alone what is not for it or is overtaken."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, cast

from connectors.care_messages.canonical import KINDS, Referral
from connectors.care_messages.order import Newest
from connectors.care_messages.settings import CareSettings
from hub.sdk import Event, Receipt, Sink

S = TypeVar("S", bound=CareSettings)


class CarePartner(Sink[S], Generic[S]):
    """A sink for referrals and answers that are addressed to its partner; subclasses define `send`."""

    accepts = KINDS

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._newest = Newest()

    def wants(self, event: Event) -> bool:
        """Whether it is addressed to this partner; a party may have several, by several ways."""
        return event.data.get("recipient_address") in self.config.addresses

    async def send(self, event: Event, data: Referral, key: str) -> Receipt:
        """Hand the message over; errors as in `deliver`."""
        raise NotImplementedError

    async def deliver(self, event: Event, key: str) -> Receipt:
        """Send it, unless it is void."""
        data = cast("Referral", self.data_of(event))
        if self._newest.overtaken(data):
            return Receipt("overtaken by a newer message")
        receipt = await self.send(event, data, key)
        self._newest.note(data)
        return receipt
