"""Generated from schemas/licensing/ by `python -m hub.registry --write`: change the contracts, not this."""

from typing import ClassVar

from pydantic import Field

from hub.events.model import EventData, Long, Timestamp


class FeePaid(EventData):
    """The fee for a licence was paid in full and the money was captured. Holds what a licensing team needs to
    go on with the application, and nothing about the payer.
    """

    type: ClassVar[str] = "licensing.fee.paid"

    council: str = Field(
        description="GSS code of the council that was paid, such as E08000025.",
        json_schema_extra={"classification": "public"},
    )
    licence_reference: str = Field(
        description="The council's reference of the licence or application that the fee is for.",
        json_schema_extra={"classification": "internal"},
    )
    payment_id: str = Field(
        description="GOV.UK Pay's id of the payment.",
        json_schema_extra={"classification": "internal"},
    )
    amount: Long = Field(
        description="The fee that was paid, in minor units of the currency (pence).",
        json_schema_extra={"classification": "internal"},
    )
    currency: str = Field(
        description="ISO 4217 code of the amount.",
        json_schema_extra={"classification": "public"},
    )
    paid_at: Timestamp = Field(
        description="When the payment was captured, as far as the hub was told.",
        json_schema_extra={"classification": "internal"},
    )
    licence_type: str | None = Field(
        default=None,
        description="Kind of licence, such as premises or taxi-driver. Null when the payment did not say.",
        json_schema_extra={"classification": "internal"},
    )
    ledger_code: str | None = Field(
        default=None,
        description=(
            "Code of the council's ledger that the fee is booked to. Null when the payment did not say."
        ),
        json_schema_extra={"classification": "internal"},
    )
