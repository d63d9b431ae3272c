"""GOV.UK Pay card payments and refunds: signed webhooks, and two searches that find what no webhook told."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.govuk_pay.config import Config
from connectors.govuk_pay.mapping import payment_facts, refund_facts, webhook_facts
from connectors.govuk_pay.records import Payment, PayWebhook, Refund
from connectors.govuk_pay.search import Search
from hub.events.generated.payments import (
    PaymentCaptured,
    PaymentCreated,
    PaymentExpired,
    PaymentFailed,
    PaymentRefunded,
    PaymentSucceeded,
    RefundFailed,
    RefundSubmitted,
    RefundSucceeded,
)
from hub.sdk import Fact, Request, Unauthorised, WebhookSource, hmac_of


class PayWebhooks(WebhookSource[Config, PayWebhook]):
    """What GOV.UK Pay tells by webhook.

    The signature covers the body and no time, so an old message sent again is genuine; it is recognised by
    `webhook_message_id`, and its fact by its key.
    """

    emits = (PaymentSucceeded, PaymentCaptured, PaymentFailed, PaymentExpired, PaymentRefunded)
    key_field = "resource_id"
    message_field = "webhook_message_id"

    def verify(self, request: Request) -> None:
        """`Pay-Signature`: hex HMAC-SHA256 of the raw body, by the present secret or the one before it."""
        previous = self.config.previous_signing_secret
        try:
            request.require_hmac("Pay-Signature", self.config.signing_secret)
        except Unauthorised:
            if previous is None:
                raise
            request.require_hmac("Pay-Signature", previous)

    def sign(self, body: bytes) -> dict[str, str]:
        """As GOV.UK Pay signs."""
        return {"Pay-Signature": hmac_of(body, self.config.signing_secret)}

    def events(self, record: PayWebhook) -> Iterator[Fact]:
        """One fact per message, if any."""
        return webhook_facts(record)


class PaymentSearch(Search[Payment]):
    """Finds payments whose webhooks never came, just created ones, for which Pay sends none, and who cancelled one."""

    name = "payments"
    emits = (PaymentCreated, PaymentSucceeded, PaymentCaptured, PaymentFailed, PaymentExpired)
    key_field = id_field = "payment_id"
    path = "/v1/payments"

    def events(self, record: Payment) -> Iterator[Fact]:
        """All that the payment's present state implies."""
        return payment_facts(record)


class RefundSearch(Search[Refund]):
    """Follows each single refund, which webhooks do not name."""

    name = "refunds"
    emits = (RefundSubmitted, RefundSucceeded, RefundFailed)
    key_field = "payment_id"
    id_field = "refund_id"
    path = "/v1/refunds"
    overlap_setting = "refund_overlap_hours"  # found by when it was made, and not by when it was paid out

    def events(self, record: Refund) -> Iterator[Fact]:
        """That it was submitted, and what became of it."""
        return refund_facts(record)
