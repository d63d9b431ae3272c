"""A made-up council ledger: fees that were paid are booked there, and it says under which number."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import AwareDatetime

from hub.events.generated.licensing import FeePaid
from hub.events.generated.payments import RefundSubmitted
from hub.sdk import ConnectorConfig, Event, Fact, Http, OutcomeSink, Receipt, Record


class Config(ConnectorConfig):
    """Where the ledger is."""

    ledger_url: str


class Booked(Record):
    """What the ledger says of a booking."""

    number: str
    payment: str
    amount: int
    at: AwareDatetime


class Ledger(OutcomeSink[Config, Booked]):
    """Books fees."""

    name = "ledger"
    key_field = "payment"
    accepts = (FeePaid,)
    emits = (RefundSubmitted,)  # of the contracts that there are, the nearest to a number and an amount

    def open_http(self) -> Http:
        """The ledger's API."""
        return Http(self.config.ledger_url)

    async def deliver(self, event: Event, key: str) -> Receipt:
        """Book it; the ledger knows a repeat by its key."""
        body = {"payment": event.data["payment_id"], "amount": event.data["amount"]}
        answer = await self.http.post_json("/bookings", body, {"Idempotency-Key": key})
        return Receipt(answer["number"], outcome=answer)

    def events(self, record: Booked) -> Iterator[Fact]:
        """One fact per booking."""
        data = RefundSubmitted(
            refund_id=record.number,
            payment_id=record.payment,
            amount=record.amount,
            currency="GBP",
            status="submitted",
            created_at=record.at,
        )
        yield Fact(data, record.payment, record.at, record.number)
