"""From what GOV.UK Pay says to the hub's facts. Pure; webhook and poller meet here and give the same keys.

A fact's data is the same from either side as far as Pay tells both sides the same: `state` follows from the
fact rather than from the moment of asking. Times differ: a webhook carries the time of its event, a search
does not, so the poller gives the latest moment known to be no later than the fact. Whoever reports first is
kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from connectors.govuk_pay.records import Payment, PayWebhook, Refund, State
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
from hub.events.model import EventData
from hub.sdk import Fact, Reject

#: The documented form of instants; Python alone would read a documented misprint, "…T17:15:000Z", too.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", re.ASCII)

#: Pay gives a payer 90 minutes to pay.
TIME_TO_PAY = timedelta(minutes=90)

EXPIRED, _BY_SERVICE = "P0020", "P0040"

#: The public API's word for each way to fail.
STATE_OF_CODE = {
    "P0010": "failed",
    "P0020": "failed",
    "P0030": "failed",
    "P0040": "cancelled",
    "P0050": "error",
}

#: Codes for the words of webhooks, which are the ledger's, and of the public API, where no code is given.
_CODE_OF_WORD = {
    "declined": "P0010",
    "timedout": "P0020",
    "cancelled": _BY_SERVICE,
    "error": "P0050",
    "failed": "P0010",
}

_OF_EVENT_TYPE: dict[str, tuple[type[EventData], str]] = {
    "card_payment_succeeded": (PaymentSucceeded, "succeeded"),
    "card_payment_captured": (PaymentCaptured, "captured"),
    "card_payment_refunded": (PaymentRefunded, "refunded"),
    "card_payment_failed": (PaymentFailed, "failed"),
    "card_payment_expired": (PaymentExpired, "expired"),
}

_STATE_OF_FACT: dict[type[EventData], str] = {
    PaymentCreated: "created",
    PaymentSucceeded: "success",
    PaymentCaptured: "success",
    PaymentRefunded: "success",
    PaymentExpired: "failed",
}

_OF_REFUND_STATUS: dict[str, type[EventData]] = {"success": RefundSucceeded, "error": RefundFailed}


def webhook_facts(message: PayWebhook) -> Iterator[Fact]:
    """The one fact that a webhook tells; none where a payment was cancelled and the search says by whom.

    The ledger says P0030, the payer, whoever it was. Once the time to pay is over it is the service, whose payment
    with delayed capture may be too old by then to be found.
    """
    payment, moment = message.resource, message.created_date
    if message.resource_type.lower() != "payment":
        raise Reject("resource_type: only payments are understood", field="resource_type")
    if message.resource_id != payment.payment_id:
        raise Reject("resource_id: is not the payment in resource.payment_id", field="resource_id")
    model, verb = _OF_EVENT_TYPE[message.event_type]
    if model is PaymentRefunded:
        if not (payment.refund_summary and payment.refund_summary.amount_submitted):
            field = "resource.refund_summary.amount_submitted"
            raise Reject(f"{field}: a refund must say how much was refunded", field=field)
        yield _fact(model, payment, f"{verb}:{message.webhook_message_id}", moment)
    elif model is not PaymentFailed or payment.state.status.lower() != "cancelled":
        yield _fact(model, payment, verb, moment, _code(payment.state))
    elif payment.delayed_capture and moment - payment.created_date > TIME_TO_PAY:
        state = State(status="cancelled", code=_BY_SERVICE)
        yield _fact(model, payment.model_copy(update={"state": state}), verb, moment, _BY_SERVICE)


def payment_facts(payment: Payment) -> Iterator[Fact]:
    """All facts that the present state of a payment implies, oldest first.

    A refund that succeeded is none of them: the summary counts those that are only submitted, and may yet fail.
    """
    yield _fact(PaymentCreated, payment, "created", payment.created_date)
    code = _code(payment.state)
    if payment.state.status == "success":
        yield _fact(PaymentSucceeded, payment, "succeeded", _submit_time(payment) or payment.created_date)
        if payment.settlement_summary and payment.settlement_summary.captured_date:
            yield _fact(PaymentCaptured, payment, "captured", _capture_time(payment))
    elif code == EXPIRED:
        yield _fact(PaymentExpired, payment, "expired", payment.created_date + TIME_TO_PAY)
    elif code:
        yield _fact(PaymentFailed, payment, "failed", payment.created_date, code)


def refund_facts(refund: Refund) -> Iterator[Fact]:
    """That a refund was submitted and, once known, what became of it. Pay tells only when it was created."""
    reached: list[tuple[type[EventData], str]] = [(RefundSubmitted, "submitted")]
    if refund.status in _OF_REFUND_STATUS:
        reached.append((_OF_REFUND_STATUS[refund.status], refund.status))
    settled = refund.settlement_summary.settled_date if refund.settlement_summary else None
    for model, status in reached:
        values = {
            "refund_id": refund.refund_id,
            "payment_id": refund.payment_id,
            "amount": refund.amount,
            "currency": "GBP",
            "status": status,
            "created_at": refund.created_date,
            "settled_on": _day(settled) if status == "success" else None,
        }
        yield Fact(
            model(**values), refund.payment_id, refund.created_date, key=f"{refund.refund_id}:{status}"
        )


def _fact(model: type[EventData], payment: Payment, key: str, moment: datetime, code: str = "") -> Fact:
    values = _values(payment)
    if model is PaymentFailed:
        code = code or "P0010"
        values |= {"failure_code": code, "failure_message": payment.state.message}
        values["state"] = STATE_OF_CODE.get(code, "failed")
    else:
        values["state"] = _STATE_OF_FACT[model]
    data = model(**{name: values[name] for name in model.model_fields if name in values})
    return Fact(data, payment.payment_id, moment, key=f"{payment.payment_id}:{key}")


def _values(payment: Payment) -> dict[str, Any]:
    """Everything that a payment event may carry; each model takes the fields that it has."""
    card, refunds = payment.card_details, payment.refund_summary
    settled = payment.settlement_summary
    return {
        "payment_id": payment.payment_id,
        "amount": payment.amount,
        "currency": "GBP",
        "reference": payment.reference,
        "description": payment.description,
        "created_at": payment.created_date,
        "provider": payment.payment_provider,
        "language": payment.language,
        "delayed_capture": payment.delayed_capture,
        "moto": payment.moto,
        "metadata": payment.metadata or {},
        "payer_email": payment.email or None,
        "card_brand": card.card_brand if card else None,
        "card_type": card.card_type if card else None,
        "corporate_card_surcharge": payment.corporate_card_surcharge,
        "total_amount": payment.total_amount,
        "fee": payment.fee,
        "net_amount": payment.net_amount,
        "captured_on": _day(settled.captured_date) if settled else None,
        "refunded_total": refunds.amount_submitted if refunds else 0,
        "refund_status": refunds.status if refunds else "",
        "amount_available": refunds.amount_available if refunds else None,
    }


def _code(state: State) -> str:
    """The P-code of a failure, given or implied; empty for a payment that did not fail."""
    word = state.status.lower()
    return (state.code or _CODE_OF_WORD[word]) if word in _CODE_OF_WORD else ""


def _submit_time(payment: Payment) -> datetime | None:
    """When capture was asked for; None where missing, malformed (a documented sample is) or impossible."""
    settled = payment.settlement_summary
    text = (settled.capture_submit_time if settled else None) or ""
    if not _INSTANT.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment >= payment.created_date else None


def _capture_time(payment: Payment) -> datetime:
    """The start of the day of capture, or when capture was asked for or the payment created, if later."""
    settled = payment.settlement_summary
    moments = [_submit_time(payment), payment.created_date]
    if day := _day(settled.captured_date if settled else None):
        moments.append(datetime.combine(date.fromisoformat(day), time.min, UTC))
    return max(moment for moment in moments if moment)


def _day(text: str | None) -> str | None:
    """A date in the form YYYY-MM-DD; None for anything else."""
    try:
        return date.fromisoformat(text or "").isoformat()
    except ValueError:
        return None
