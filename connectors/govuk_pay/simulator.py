"""GOV.UK Pay as it behaves: one sandbox account, its public API, its webhooks, and its bad days."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any, ClassVar

from starlette.responses import Response
from starlette.routing import BaseRoute

from connectors.govuk_pay.simulated.api import Api
from connectors.govuk_pay.simulated.ledger import CARDS, Ledger, Payment, instant
from connectors.govuk_pay.simulated.rules import checked_payment, refusal
from connectors.govuk_pay.simulated.sender import Message, Sender, encode, sign
from hub.sdk.clock import Clock
from hub.sdk.simulator import Simulator

#: Public fields of a payment that its webhooks leave out.
_NOT_IN_WEBHOOKS = frozenset({"provider_id", "authorisation_mode", "agreement_id"})

#: The longest that a `late` webhook waits before its first attempt, in seconds of the simulator's clock.
_LATEST = 120.0


class PaySimulator(Simulator):
    """A sandbox account of GOV.UK Pay.

    Set `webhook_url` to be told of events. Payers and the provider are controls: `pay`, `expire`, `capture`,
    `refund`, or `paid_payment` for all of the usual at once. `messages` holds every webhook message and its
    attempts. Faults besides those of `Simulator`: `twice`, `late` (so that messages overtake each other) and
    `lost` (no attempt at all), each per message.
    """

    bad_days: ClassVar[dict[str, dict[str, float]]] = {
        "too many requests": {"429": 1.0},
        "some requests too many": {"429": 0.3},
        "downstream errors": {"500": 1.0},
        "half answers": {"cut": 1.0},
        "no answers": {"hang": 1.0},
        "revoked key": {"401": 1.0},
        "webhooks twice": {"twice": 1.0},
        "webhooks out of order": {"late": 0.7, "twice": 0.3},
        "webhooks lost": {"lost": 1.0},
    }

    def __init__(
        self,
        clock: Clock | None = None,
        seed: int | None = None,
        *,
        signing_secret: str = "webhook_test_simulated_signing_key",  # noqa: S107 - opens nothing
        api_key: str = "api_test_simulated_api_key",
    ) -> None:
        super().__init__(clock, seed)
        self.signing_secret = signing_secret
        self.api_key = api_key
        self.search_lag = timedelta()
        self.ledger = Ledger(self.clock, self.random)
        self.messages: list[Message] = []
        self._sender = Sender(self.clock, signing_secret)

    def routes(self) -> list[BaseRoute]:
        """The public API."""
        return Api(self).routes()

    def config(self) -> dict[str, Any]:
        """Settings of a connector instance for this account."""
        return {"signing_secret": self.signing_secret, "api_key": self.api_key, "base_url": self.url}

    def refusal(self, status: int) -> Response:
        """Bad days in Pay's words."""
        return refusal(status)

    async def stopped(self) -> None:
        """Close the sender's connections."""
        await self._sender.close()

    def create_payment(self, reference: str, amount: int, **asked: Any) -> str:
        """Create a payment as a service would; `asked` as in the API. Raises ApiError."""
        body = {
            "reference": reference,
            "amount": amount,
            "description": "Pay your council",
            "return_url": "https://service.example.gov.uk/done",
            **asked,
        }
        return self.ledger.create(checked_payment(json.dumps(body).encode())).payment_id

    def pay(self, payment_id: str, card: str = "4242424242424242") -> None:
        """A payer enters a card of the sandbox, with what it leads to. Raises KeyError for any other card."""
        payment, code = self.ledger.payments[payment_id], CARDS[card]
        payment.card = card
        self.ledger.move(payment, "started")
        self.ledger.move(payment, "submitted")
        if code:
            self.fail(payment_id, code)
        elif payment.asked.get("delayed_capture"):
            self.ledger.move(payment, "capturable")
        else:
            self.capture(payment_id)

    def capture(self, payment_id: str) -> None:
        """Approve for capture, and have the provider take the money."""
        payment = self.ledger.payments[payment_id]
        payment.submitted_for_capture = self.clock.now()
        self.ledger.move(payment, "success")
        self._tell(payment, "card_payment_succeeded")
        payment.captured = self.clock.now()
        self.ledger.note(payment)
        self._tell(payment, "card_payment_captured")

    def expire(self, payment_id: str) -> None:
        """The 90 minutes to pay are over."""
        self.fail(payment_id, "P0020")

    def fail(self, payment_id: str, code: str) -> None:
        """Fail with one of Pay's codes: P0010, P0020, P0030, P0040 or P0050."""
        payment = self.ledger.payments[payment_id]
        self.ledger.move(payment, {"P0040": "cancelled", "P0050": "error"}.get(code, "failed"), code)
        self._tell(payment, "card_payment_expired" if code == "P0020" else "card_payment_failed")

    def refund(self, payment_id: str, amount: int | None = None, outcome: str = "success") -> str:
        """Refund all or `amount` in pence; gives the refund id. `outcome`: success, error or submitted."""
        payment = self.ledger.payments[payment_id]
        refund = self.ledger.refund(payment, amount or payment.asked["amount"] - payment.refunded)
        if outcome != "submitted":
            self.settle_refund(refund.refund_id, outcome)
        return refund.refund_id

    def settle_refund(self, refund_id: str, outcome: str = "success") -> None:
        """The provider makes the refund, or fails to. Only success is told by webhook, and without its id."""
        refund = self.ledger.refunds[refund_id]
        self.ledger.settle(refund, outcome)
        if outcome == "success":
            self._tell(self.ledger.payments[refund.payment_id], "card_payment_refunded")

    def paid_payment(self, reference: str, amount: int, **asked: Any) -> str:
        """A payment that was created, paid and captured; gives its id."""
        payment_id = self.create_payment(reference, amount, **asked)
        self.pay(payment_id)
        return payment_id

    def produce(self) -> int:
        """Have one event of every kind; gives how many webhooks that makes."""
        before = len(self.messages)
        self.refund(self.paid_payment("LIC-1", 4500, metadata={"licence": "taxi", "year": 2026, "new": True}))
        self.pay(self.create_payment("LIC-2", 4500), card="4000000000000002")
        self.expire(self.create_payment("LIC-3", 4500))
        return len(self.messages) - before

    def populate(self, count: int) -> set[str]:
        """Have `count` payments made and partly refunded; gives their ids."""
        ids = {self.paid_payment(f"SEARCH-{number}", 1000 + number) for number in range(count)}
        for payment_id in sorted(ids):
            self.refund(payment_id, 500)
        return ids

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers with which Pay would send `body`."""
        return sign(body, self.signing_secret)

    def message(self, payment_id: str, event_type: str) -> Message:
        """A message about a payment as it stands now, not sent."""
        payment = self.ledger.payments[payment_id]
        shown = {name: value for name, value in payment.shown().items() if name not in _NOT_IN_WEBHOOKS}
        message_id = self.ledger.new_id()
        body = {
            "webhook_message_id": message_id,
            "created_date": instant(self.clock.now()),
            "resource_id": payment_id,
            "api_version": 1,
            "resource_type": "PAYMENT",
            "event_type": event_type,
            "resource": shown | {"state": payment.ledger_state()},
        }
        return Message(message_id, event_type, encode(body))

    def _tell(self, payment: Payment, event_type: str) -> None:
        message = self.message(payment.payment_id, event_type)
        self.messages.append(message)
        if not self.webhook_url or self.draw("lost"):
            message.status = "WILL_NOT_SEND"
            return
        for _ in range(2 if self.draw("twice") else 1):
            wait = self.random.uniform(0, _LATEST) if self.draw("late") else 0.0
            self.spawn(self._send(self.webhook_url, message, wait))

    async def _send(self, url: str, message: Message, wait: float) -> None:
        if wait:
            await self.clock.sleep(wait)
        await self._sender.send(url, message)
