"""GOV.UK Notify: emails, texts and letters from templates, what became of them, and texts that come in."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.govuk_notify.config import Config
from connectors.govuk_notify.mapping import (
    accepted_facts,
    error_of,
    receipt_facts,
    reference_of,
    text_facts,
    to_outcome,
    to_request,
    words,
)
from connectors.govuk_notify.records import DeliveryReceipt, InboundText, Sent
from hub.events.generated.notifications import (
    EmailRequested,
    LetterRequested,
    MessageAccepted,
    MessageDelivered,
    MessageFailed,
    TextReceived,
    TextRequested,
)
from hub.sdk import (
    Answer,
    Event,
    Fact,
    Failed,
    Http,
    OutcomeSink,
    Policy,
    RateLimit,
    Receipt,
    Reject,
    Request,
    RequestJwt,
    Retry,
    WebhookSource,
)
from hub.sdk.connector import R


class Messages(OutcomeSink[Config, Sent]):
    """Sends what is asked for. Notify takes a repeat for a new message, so a message in doubt is looked up first."""

    name = "messages"
    accepts = (EmailRequested, TextRequested, LetterRequested)
    emits = (MessageAccepted,)
    key_field = "id"

    def open_http(self) -> Http:
        """The API: 3,000 requests in any minute, each with a token of its own, valid for 30 seconds."""
        config = self.config
        auth = RequestJwt(config.secret, {"iss": config.service_id}, lambda: self.clock.now().timestamp())
        policy = Policy(config.timeout_seconds, limit=RateLimit(3_000, per_s=60), words=words)
        return Http(config.base_url, auth=auth, policy=policy)

    async def deliver(self, event: Event, key: str) -> Receipt:
        """Have it sent."""
        data: Any = self.data_of(event)
        template = self.config.templates.get(data.template)
        if template is None:
            raise Reject("template: the instance's config has no template of that name", field="template")
        channel, body = to_request(data, template, reference_of(event.envelope))
        try:
            answer = await self.http.post_json(f"/v2/notifications/{channel}", body)
        except Failed as failed:
            if error_of(failed.body)[0] != "TooManyRequestsError":
                raise
            raise Retry("Notify's limit for a day is reached", after=_to_midnight(self.clock.now())) from None
        return self._receipt(answer, channel)

    async def find(self, event: Event, key: str) -> Receipt | None:
        """The message that was sent under the event's reference, if there is one."""
        told = await self.http.get_json("/v2/notifications", reference=reference_of(event.envelope))
        found = next(iter(told["notifications"]), None)
        return self._receipt(found, found["type"]) if found else None

    def events(self, record: Sent) -> Iterator[Fact]:
        """That it was taken."""
        return accepted_facts(record)

    def _receipt(self, answer: dict[str, Any], channel: str) -> Receipt:
        return Receipt(answer["id"], outcome=to_outcome(answer, channel, self.clock.now()))


class Callbacks(WebhookSource[Config, R]):
    """Notify's callbacks prove themselves by a bearer token, the same for both kinds."""

    key_field = "id"

    @property
    def used(self) -> bool:
        """Where a token is agreed."""
        return self.config.callback_token is not None

    def verify(self, request: Request) -> None:
        """By the token, the present one or the one before it."""
        request.require_bearer(self.config.callback_token, self.config.previous_callback_token)

    def sign(self, body: bytes) -> dict[str, str]:
        """As Notify does."""
        token = self.config.callback_token
        return {"Authorization": f"Bearer {token.get_secret_value() if token else ''}"}

    def refusal(self, request: Request, status: int, error: Reject | None) -> Answer | None:
        """Notify calls again after 429 and 5xx alone: five times, five minutes apart. A token that only one side
        has changed, and a body that came too slowly, are put right in that time, so neither is told by 4xx."""
        return Answer(503) if status in (401, 408) else None


class Receipts(Callbacks[DeliveryReceipt]):
    """How sending ended, by callback."""

    name = "receipts"
    emits = (MessageDelivered, MessageFailed)
    takes = ("POST /receipts",)

    def events(self, record: DeliveryReceipt) -> Iterator[Fact]:
        """One fact."""
        return receipt_facts(record)


class Texts(Callbacks[InboundText]):
    """Texts that people send to the council's number, by callback."""

    name = "texts"
    emits = (TextReceived,)
    takes = ("POST /texts",)
    message_field = "id"

    def events(self, record: InboundText) -> Iterator[Fact]:
        """One fact."""
        return text_facts(record)


def _to_midnight(now: datetime) -> float:
    """Seconds until the limits of a day begin anew, in UTC."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=1) - now).total_seconds()
