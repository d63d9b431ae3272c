"""What GOV.UK Pay sends, as far as the hub reads it. Digits, holder and expiry of a card are not read at all.

Shapes: the public API's OpenAPI description and the examples in its documentation. Types are strict (an
amount in quotes is refused), unknown fields are passed over, and a card number where free text stands is
refused: a payer who typed one into a reference must not spread it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field

from connectors.govuk_pay.cards import holds_card_number
from hub.events.model import Long
from hub.sdk import Record


def _utc(moment: datetime) -> datetime:
    if not 1 < moment.year < 9999:  # so that no sum or change of zone leaves the calendar
        raise ValueError("is not a time that a payment can have")
    return moment.astimezone(UTC)


def _no_card_number(text: str) -> str:
    if holds_card_number(text):
        raise ValueError("looks like a card number")
    return text


def _texts(metadata: dict[str, Any]) -> dict[str, str]:
    """Metadata as texts, numbers and booleans as JSON writes them. Refusals do not name keys: services fill
    them as they like."""
    if not all(value is None or isinstance(value, str | int | float) for value in metadata.values()):
        raise ValueError("values should be text, number or boolean")
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items() if v is not None}
    for text in (*texts, *texts.values()):
        _no_card_number(text)
    return texts


Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
FreeText = Annotated[str, AfterValidator(_no_card_number)]
Metadata = Annotated[dict[str, Any], AfterValidator(_texts)]
Pence = Annotated[Long, Field(ge=0)]

EventType = Literal[
    "card_payment_succeeded",
    "card_payment_captured",
    "card_payment_refunded",
    "card_payment_failed",
    "card_payment_expired",
]


class _Strict(Record):
    model_config = ConfigDict(strict=True)


class State(_Strict):
    """Where a payment stands. The public API and the webhooks use different words."""

    status: str
    code: str | None = None
    message: str | None = None


class RefundSummary(_Strict):
    """How much was refunded or submitted for refund, and what can still be."""

    status: str = ""
    amount_available: Long | None = None
    amount_submitted: Pence = 0


class SettlementSummary(_Strict):
    """When the money moved. Text, since documented samples hold malformed times."""

    capture_submit_time: str | None = None
    captured_date: str | None = None
    settled_date: str | None = None


class CardDetails(_Strict):
    """The two harmless facts about a card."""

    card_brand: str | None = None
    card_type: str | None = None


class Payment(_Strict):
    """A payment, from a search or as the resource of a webhook."""

    payment_id: Id
    amount: Pence
    state: State
    reference: FreeText
    description: FreeText
    created_date: Moment
    payment_provider: str | None = None
    language: str | None = None
    delayed_capture: bool | None = None
    moto: bool | None = None
    email: FreeText | None = None
    metadata: Metadata | None = None
    card_details: CardDetails | None = None
    corporate_card_surcharge: Long | None = None
    total_amount: Long | None = None
    fee: Long | None = None
    net_amount: Long | None = None
    refund_summary: RefundSummary | None = None
    settlement_summary: SettlementSummary | None = None


class PayWebhook(_Strict):
    """A webhook message. `event_type` stands first, so that an unknown one is what a refusal names."""

    event_type: EventType
    webhook_message_id: str = Field(min_length=1)
    created_date: Moment
    resource_id: Id
    resource_type: str
    resource: Payment


class Refund(_Strict):
    """A refund, from a search over all payments."""

    refund_id: Id
    payment_id: Id
    amount: Pence
    status: Literal["submitted", "success", "error"]
    created_date: Moment
    settlement_summary: SettlementSummary | None = None
