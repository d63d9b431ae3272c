"""The simulated account: payments and refunds, their lives, and how the API and the webhooks word them.

Lifecycle and words: GOV.UK Pay's documentation of payment states, and the code of its webhooks service.
"""

from __future__ import annotations

import random
import string
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from hub.sdk.clock import Clock

#: The sandbox's cards: what each leads to, a P-code or success.
CARDS = {
    "4444333322221111": "",
    "4242424242424242": "",
    "4000000000000002": "P0010",
    "4000000000000069": "P0010",
    "4000000000000127": "P0010",
    "4000000000000119": "P0050",
}

#: For each code: the public API's word, the ledger's word with its code, and the message.
FAILURES = {
    "P0010": ("failed", "declined", "P0010", "Payment method rejected"),
    "P0020": ("failed", "timedout", "P0020", "Payment expired"),
    "P0030": ("failed", "cancelled", "P0030", "Payment was cancelled by the user"),
    "P0040": ("cancelled", "cancelled", "P0030", "Payment was cancelled by the service"),
    "P0050": ("error", "error", "P0050", "Payment provider returned an error"),
}

OPEN = frozenset({"created", "started", "submitted", "capturable"})


@dataclass
class Refund:
    """One refund of a payment."""

    refund_id: str
    payment_id: str
    amount: int
    created: datetime
    status: str = "submitted"
    seen_by_search: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """As the public API shows it, links apart."""
        return {
            "refund_id": self.refund_id,
            "created_date": instant(self.created),
            "payment_id": self.payment_id,
            "amount": self.amount,
            "status": self.status,
            "settlement_summary": {},
        }


@dataclass
class Payment:
    """One payment: what its creator asked for, and what became of it."""

    payment_id: str
    created: datetime
    asked: dict[str, Any]
    status: str = "created"
    code: str = ""
    card: str = ""
    submitted_for_capture: datetime | None = None
    captured: datetime | None = None
    refunds: list[Refund] = field(default_factory=list)
    past: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)
    seen_by_search: list[tuple[datetime, dict[str, Any]]] = field(default_factory=list)

    @property
    def refunded(self) -> int:
        """What was refunded or submitted for refund, failed refunds apart."""
        return sum(refund.amount for refund in self.refunds if refund.status != "error")

    def state(self) -> dict[str, Any]:
        """The public API's words."""
        finished = self.status not in OPEN
        state: dict[str, Any] = {"status": self.status, "finished": finished}
        if self.code:
            state |= {"message": FAILURES[self.code][3], "code": self.code}
        return state

    def ledger_state(self) -> dict[str, Any]:
        """The ledger's words, which webhooks use; it does not know who cancelled."""
        if not self.code:
            return self.state()
        _, word, code, _ = FAILURES[self.code]
        return {"status": word, "finished": True, "code": code, "message": FAILURES[code][3]}

    def shown(self) -> dict[str, Any]:
        """As the public API shows it, links apart."""
        asked, available = self.asked, self.asked["amount"] - self.refunded
        shown = {
            "created_date": instant(self.created),
            "amount": asked["amount"],
            "state": self.state(),
            "description": asked["description"],
            "reference": asked["reference"],
            "language": asked.get("language", "en"),
            "metadata": asked.get("metadata"),
            "email": asked.get("email"),
            "payment_id": self.payment_id,
            "payment_provider": "sandbox",
            "return_url": asked.get("return_url"),
            "delayed_capture": asked.get("delayed_capture", False),
            "moto": asked.get("moto", False),
            "authorisation_mode": asked.get("authorisation_mode", "web"),
            "agreement_id": asked.get("agreement_id"),
            "refund_summary": {
                "status": self._refund_status(available),
                "amount_available": available,
                "amount_submitted": self.refunded,
            },
            "settlement_summary": present(
                capture_submit_time=instant(self.submitted_for_capture)
                if self.submitted_for_capture
                else None,
                captured_date=f"{self.captured:%Y-%m-%d}" if self.captured else None,
            ),
        }
        if self.card:
            shown |= {"card_details": self._card_details(), "provider_id": self.payment_id[::-1]}
        return present(**shown)

    def _refund_status(self, available: int) -> str:
        if self.code:
            return "unavailable"
        if self.status != "success":
            return "pending"
        return "available" if available else "full"

    def _card_details(self) -> dict[str, Any]:
        return {
            "last_digits_card_number": self.card[-4:],
            "first_digits_card_number": self.card[:6],
            "cardholder_name": "A Payer",
            "expiry_date": "11/30",
            "billing_address": {
                "line1": "1 Test Street",
                "postcode": "ZZ1 1ZZ",
                "city": "Town",
                "country": "GB",
            },
            "card_brand": "Visa",
            "card_type": "debit",
        }


class Ledger:
    """All payments of the account. Every change is written down with its time, for search to lag behind."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock = clock
        self._random = rng
        self.payments: dict[str, Payment] = {}
        self.refunds: dict[str, Refund] = {}

    def create(self, asked: dict[str, Any]) -> Payment:
        """A new payment; `asked` is a request that was found valid."""
        payment = Payment(self.new_id(), self._clock.now(), asked)
        self.payments[payment.payment_id] = payment
        self.note(payment)
        return payment

    def move(self, payment: Payment, status: str, code: str = "") -> None:
        """A new state."""
        payment.status, payment.code = status, code
        self.note(payment)

    def refund(self, payment: Payment, amount: int) -> Refund:
        """A new refund, submitted."""
        refund = Refund(self.new_id(), payment.payment_id, amount, self._clock.now())
        payment.refunds.append(refund)
        self.refunds[refund.refund_id] = refund
        self.settle(refund, "submitted")
        return refund

    def settle(self, refund: Refund, status: str) -> None:
        """What became of a refund; it tells in the payment's summary too."""
        refund.status = status
        refund.seen_by_search.append((self._clock.now(), refund.shown()))
        self.note(self.payments[refund.payment_id])

    def note(self, payment: Payment) -> None:
        """Write down how things stand now."""
        now, state = self._clock.now(), payment.state()
        if not payment.past or payment.past[-1][1] != state:
            payment.past.append((now, state))
        payment.seen_by_search.append((now, payment.shown()))

    def new_id(self) -> str:
        """26 lower-case letters and digits, as all ids of Pay."""
        return "".join(self._random.choices(string.ascii_lowercase + string.digits, k=26))


def instant(moment: datetime) -> str:
    """`2024-05-01T10:30:00.000Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def present(**values: Any) -> dict[str, Any]:
    """Only what is there: Pay drops nulls."""
    return {name: value for name, value in values.items() if value is not None}
