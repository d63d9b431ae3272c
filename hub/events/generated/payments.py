"""Generated from schemas/payments/ by `python -m hub.registry --write`: change the contracts, not this."""

from typing import ClassVar

from pydantic import Field

from hub.events.model import EventData, Long, Timestamp


class PaymentCaptured(EventData):
    """The provider took the money from the payer. This is the event to act on."""

    type: ClassVar[str] = "payments.payment.captured"

    payment_id: str = Field(
        description="GOV.UK Pay's id of the payment: 26 lower-case letters and digits.",
        json_schema_extra={"classification": "internal"},
    )
    amount: Long = Field(
        description="What was asked for, in minor units of the currency (pence), before any surcharge.",
        json_schema_extra={"classification": "internal"},
    )
    currency: str = Field(
        description="ISO 4217 code of every amount in this event. GOV.UK Pay takes GBP only.",
        json_schema_extra={"classification": "public"},
    )
    reference: str = Field(
        description="The paying service's own reference. Not unique: several payments may carry the same.",
        json_schema_extra={"classification": "internal"},
    )
    description: str = Field(
        description="What the payer saw that the payment is for.",
        json_schema_extra={"classification": "internal"},
    )
    state: str = Field(
        description=(
            "Where the payment stood, in the public API's words: created, started, submitted, capturable, "
            "success, failed, cancelled or error. New words may come."
        ),
        json_schema_extra={"classification": "internal"},
    )
    created_at: Timestamp = Field(
        description="When the payment was created at GOV.UK Pay.",
        json_schema_extra={"classification": "internal"},
    )
    provider: str | None = Field(
        default=None,
        description=(
            "Payment service provider: sandbox, stripe or worldpay. Null for payments taken outside "
            "GOV.UK Pay and reported to it."
        ),
        json_schema_extra={"classification": "internal"},
    )
    language: str | None = Field(
        default=None,
        description=(
            "Language of the payment pages: en or cy. Null where the payer saw none, as in recurring "
            "payments."
        ),
        json_schema_extra={"classification": "internal"},
    )
    delayed_capture: bool | None = Field(
        default=None,
        description=(
            "True when the service takes the money itself, some time after authorisation. Null when "
            "GOV.UK Pay did not say."
        ),
        json_schema_extra={"classification": "internal"},
    )
    moto: bool | None = Field(
        default=None,
        description="True for a payment by post or telephone. Null when GOV.UK Pay did not say.",
        json_schema_extra={"classification": "internal"},
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "What the paying service attached, up to 15 keys; numbers and booleans as their JSON text. "
            "Treated as personal, since the service may have written anything."
        ),
        json_schema_extra={"classification": "personal"},
    )
    payer_email: str | None = Field(
        default=None,
        description="E-mail address of the payer. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    card_brand: str | None = Field(
        default=None,
        description="Brand of the card, such as Visa. Digits, name and expiry of a card never enter the hub.",
        json_schema_extra={"classification": "personal"},
    )
    card_type: str | None = Field(
        default=None,
        description="debit or credit. Null for some wallets and unrecognised cards.",
        json_schema_extra={"classification": "personal"},
    )
    corporate_card_surcharge: Long | None = Field(
        default=None,
        description="Surcharge for a corporate card, in minor units. Null when there was none.",
        json_schema_extra={"classification": "internal"},
    )
    total_amount: Long | None = Field(
        default=None,
        description=(
            "What the payer paid, surcharge included, in minor units. Null without a surcharge: it is "
            "then the amount."
        ),
        json_schema_extra={"classification": "internal"},
    )
    fee: Long | None = Field(
        default=None,
        description="The provider's fee in minor units. Null for Worldpay, test accounts, and until known.",
        json_schema_extra={"classification": "internal"},
    )
    net_amount: Long | None = Field(
        default=None,
        description=(
            "What reaches the service's bank account after the fee, in minor units. Null when the fee is."
        ),
        json_schema_extra={"classification": "internal"},
    )
    captured_on: str | None = Field(
        default=None,
        description=(
            "Date, YYYY-MM-DD, on which the provider took the payment. Null until the provider has said."
        ),
        json_schema_extra={"classification": "internal"},
    )


class PaymentCreated(EventData):
    """A payment was created at GOV.UK Pay. Nobody has paid yet."""

    type: ClassVar[str] = "payments.payment.created"

    payment_id: str = Field(
        description="GOV.UK Pay's id of the payment: 26 lower-case letters and digits.",
        json_schema_extra={"classification": "internal"},
    )
    amount: Long = Field(
        description="What was asked for, in minor units of the currency (pence), before any surcharge.",
        json_schema_extra={"classification": "internal"},
    )
    currency: str = Field(
        description="ISO 4217 code of every amount in this event. GOV.UK Pay takes GBP only.",
        json_schema_extra={"classification": "public"},
    )
    reference: str = Field(
        description="The paying service's own reference. Not unique: several payments may carry the same.",
        json_schema_extra={"classification": "internal"},
    )
    description: str = Field(
        description="What the payer saw that the payment is for.",
        json_schema_extra={"classification": "internal"},
    )
    state: str = Field(
        description=(
            "Where the payment stood, in the public API's words: created, started, submitted, capturable, "
            "success, failed, cancelled or error. New words may come."
        ),
        json_schema_extra={"classification": "internal"},
    )
    created_at: Timestamp = Field(
        description="When the payment was created at GOV.UK Pay.",
        json_schema_extra={"classification": "internal"},
    )
    provider: str | None = Field(
        default=None,
        description=(
            "Payment service provider: sandbox, stripe or worldpay. Null for payments taken outside "
            "GOV.UK Pay and reported to it."
        ),
        json_schema_extra={"classification": "internal"},
    )
    language: str | None = Field(
        default=None,
        description=(
            "Language of the payment pages: en or cy. Null where the payer saw none, as in recurring "
            "payments."
        ),
        json_schema_extra={"classification": "internal"},
    )
    delayed_capture: bool | None = Field(
        default=None,
        description=(
            "True when the service takes the money itself, some time after authorisation. Null when "
            "GOV.UK Pay did not say."
        ),
        json_schema_extra={"classification": "internal"},
    )
    moto: bool | None = Field(
        default=None,
        description="True for a payment by post or telephone. Null when GOV.UK Pay did not say.",
        json_schema_extra={"classification": "internal"},
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "What the paying service attached, up to 15 keys; numbers and booleans as their JSON text. "
            "Treated as personal, since the service may have written anything."
        ),
        json_schema_extra={"classification": "personal"},
    )
    payer_email: str | None = Field(
        default=None,
        description="E-mail address of the payer. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )


class PaymentExpired(EventData):
    """The payer did not finish within 90 minutes, so GOV.UK Pay ended the payment (P0020). No money moved."""

    type: ClassVar[str] = "payments.payment.expired"

    payment_id: str = Field(
        description="GOV.UK Pay's id of the payment: 26 lower-case letters and digits.",
        json_schema_extra={"classification": "internal"},
    )
    amount: Long = Field(
        description="What was asked for, in minor units of the currency (pence), before any surcharge.",
        json_schema_extra={"classification": "internal"},
    )
    currency: str = Field(
        description="ISO 4217 code of every amount in this event. GOV.UK Pay takes GBP only.",
        json_schema_extra={"classification": "public"},
    )
    reference: str = Field(
        description="The paying service's own reference. Not unique: several payments may carry the same.",
        json_schema_extra={"classification": "internal"},
    )
    description: str = Field(
        description="What the payer saw that the payment is for.",
        json_schema_extra={"classification": "internal"},
    )
    state: str = Field(
        description=(
            "Where the payment stood, in the public API's words: created, started, submitted, capturable, "
            "success, failed, cancelled or error. New words may come."
        ),
        json_schema_extra={"classification": "internal"},
    )
    created_at: Timestamp = Field(
        description="When the payment was created at GOV.UK Pay.",
        json_schema_extra={"classification": "internal"},
    )
    provider: str | None = Field(
        default=None,
        description=(
            "Payment service provider: sandbox, stripe or worldpay. Null for payments taken outside "
            "GOV.UK Pay and reported to it."
        ),
        json_schema_extra={"classification": "internal"},
    )
    language: str | None = Field(
        default=None,
        description=(
            "Language of the payment pages: en or cy. Null where the payer saw none, as in recurring "
            "payments."
        ),
        json_schema_extra={"classification": "internal"},
    )
    delayed_capture: bool | None = Field(
        default=None,
        description=(
            "True when the service takes the money itself, some time after authorisation. Null when "
            "GOV.UK Pay did not say."
        ),
        json_schema_extra={"classification": "internal"},
    )
    moto: bool | None = Field(
        default=None,
        description="True for a payment by post or telephone. Null when GOV.UK Pay did not say.",
        json_schema_extra={"classification": "internal"},
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "What the paying service attached, up to 15 keys; numbers and booleans as their JSON text. "
            "Treated as personal, since the service may have written anything."
        ),
        json_schema_extra={"classification": "personal"},
    )
    payer_email: str | None = Field(
        default=None,
        description="E-mail address of the payer. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )


class PaymentFailed(EventData):
    """The payment ended without money: refused by the provider, cancelled by the payer or by the service, or
    ended by an error. Expiry is an event of its own.
    """

    type: ClassVar[str] = "payments.payment.failed"

    payment_id: str = Field(
        description="GOV.UK Pay's id of the payment: 26 lower-case letters and digits.",
        json_schema_extra={"classification": "internal"},
    )
    amount: Long = Field(
        description="What was asked for, in minor units of the currency (pence), before any surcharge.",
        json_schema_extra={"classification": "internal"},
    )
    currency: str = Field(
        description="ISO 4217 code of every amount in this event. GOV.UK Pay takes GBP only.",
        json_schema_extra={"classification": "public"},
    )
    reference: str = Field(
        description="The paying service's own reference. Not unique: several payments may carry the same.",
        json_schema_extra={"classification": "internal"},
    )
    description: str = Field(
        description="What the payer saw that the payment is for.",
        json_schema_extra={"classification": "internal"},
    )
    state: str = Field(
        description=(
            "Where the payment stood, in the public API's words: created, started, submitted, capturable, "
            "success, failed, cancelled or error. New words may come."
        ),
        json_schema_extra={"classification": "internal"},
    )
    created_at: Timestamp = Field(
        description="When the payment was created at GOV.UK Pay.",
        json_schema_extra={"classification": "internal"},
    )
    provider: str | None = Field(
        default=None,
        description=(
            "Payment service provider: sandbox, stripe or worldpay. Null for payments taken outside "
            "GOV.UK Pay and reported to it."
        ),
        json_schema_extra={"classification": "internal"},
    )
    language: str | None = Field(
        default=None,
        description=(
            "Language of the payment pages: en or cy. Null where the payer saw none, as in recurring "
            "payments."
        ),
        json_schema_extra={"classification": "internal"},
    )
    delayed_capture: bool | None = Field(
        default=None,
        description=(
            "True when the service takes the money itself, some time after authorisation. Null when "
            "GOV.UK Pay did not say."
        ),
        json_schema_extra={"classification": "internal"},
    )
    moto: bool | None = Field(
        default=None,
        description="True for a payment by post or telephone. Null when GOV.UK Pay did not say.",
        json_schema_extra={"classification": "internal"},
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "What the paying service attached, up to 15 keys; numbers and booleans as their JSON text. "
            "Treated as personal, since the service may have written anything."
        ),
        json_schema_extra={"classification": "personal"},
    )
    payer_email: str | None = Field(
        default=None,
        description="E-mail address of the payer. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    failure_code: str = Field(
        description=(
            "Why, as GOV.UK Pay's code: P0010 rejected, P0030 cancelled by the payer, P0040 cancelled by "
            "the service, P0050 provider error. New codes may come."
        ),
        json_schema_extra={"classification": "internal"},
    )
    failure_message: str | None = Field(
        default=None,
        description="GOV.UK Pay's words for the code.",
        json_schema_extra={"classification": "internal"},
    )
    fee: Long | None = Field(
        default=None,
        description=(
            "The provider's fee in minor units. Charged by some providers for failed payments too; null "
            "otherwise."
        ),
        json_schema_extra={"classification": "internal"},
    )


class PaymentRefunded(EventData):
    """A refund of the payment succeeded. The payment is described as it stands after it; each single refund
    has events of its own.
    """

    type: ClassVar[str] = "payments.payment.refunded"

    payment_id: str = Field(
        description="GOV.UK Pay's id of the payment: 26 lower-case letters and digits.",
        json_schema_extra={"classification": "internal"},
    )
    amount: Long = Field(
        description="What was asked for, in minor units of the currency (pence), before any surcharge.",
        json_schema_extra={"classification": "internal"},
    )
    currency: str = Field(
        description="ISO 4217 code of every amount in this event. GOV.UK Pay takes GBP only.",
        json_schema_extra={"classification": "public"},
    )
    reference: str = Field(
        description="The paying service's own reference. Not unique: several payments may carry the same.",
        json_schema_extra={"classification": "internal"},
    )
    description: str = Field(
        description="What the payer saw that the payment is for.",
        json_schema_extra={"classification": "internal"},
    )
    state: str = Field(
        description=(
            "Where the payment stood, in the public API's words: created, started, submitted, capturable, "
            "success, failed, cancelled or error. New words may come."
        ),
        json_schema_extra={"classification": "internal"},
    )
    created_at: Timestamp = Field(
        description="When the payment was created at GOV.UK Pay.",
        json_schema_extra={"classification": "internal"},
    )
    provider: str | None = Field(
        default=None,
        description=(
            "Payment service provider: sandbox, stripe or worldpay. Null for payments taken outside "
            "GOV.UK Pay and reported to it."
        ),
        json_schema_extra={"classification": "internal"},
    )
    language: str | None = Field(
        default=None,
        description=(
            "Language of the payment pages: en or cy. Null where the payer saw none, as in recurring "
            "payments."
        ),
        json_schema_extra={"classification": "internal"},
    )
    delayed_capture: bool | None = Field(
        default=None,
        description=(
            "True when the service takes the money itself, some time after authorisation. Null when "
            "GOV.UK Pay did not say."
        ),
        json_schema_extra={"classification": "internal"},
    )
    moto: bool | None = Field(
        default=None,
        description="True for a payment by post or telephone. Null when GOV.UK Pay did not say.",
        json_schema_extra={"classification": "internal"},
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "What the paying service attached, up to 15 keys; numbers and booleans as their JSON text. "
            "Treated as personal, since the service may have written anything."
        ),
        json_schema_extra={"classification": "personal"},
    )
    payer_email: str | None = Field(
        default=None,
        description="E-mail address of the payer. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    corporate_card_surcharge: Long | None = Field(
        default=None,
        description="Surcharge for a corporate card, in minor units. Null when there was none.",
        json_schema_extra={"classification": "internal"},
    )
    total_amount: Long | None = Field(
        default=None,
        description=(
            "What the payer paid, surcharge included, in minor units. Null without a surcharge: it is "
            "then the amount."
        ),
        json_schema_extra={"classification": "internal"},
    )
    refunded_total: Long = Field(
        description="All that has been refunded or submitted for refund so far, in minor units.",
        json_schema_extra={"classification": "internal"},
    )
    refund_status: str = Field(
        description="Whether more can be refunded: pending, unavailable, available or full.",
        json_schema_extra={"classification": "internal"},
    )
    amount_available: Long | None = Field(
        default=None,
        description="What can still be refunded, in minor units. Null when GOV.UK Pay did not say.",
        json_schema_extra={"classification": "internal"},
    )


class PaymentSucceeded(EventData):
    """The payer authorised the payment and it was approved for capture. The money has not moved yet: wait for
    captured before a service is given for good.
    """

    type: ClassVar[str] = "payments.payment.succeeded"

    payment_id: str = Field(
        description="GOV.UK Pay's id of the payment: 26 lower-case letters and digits.",
        json_schema_extra={"classification": "internal"},
    )
    amount: Long = Field(
        description="What was asked for, in minor units of the currency (pence), before any surcharge.",
        json_schema_extra={"classification": "internal"},
    )
    currency: str = Field(
        description="ISO 4217 code of every amount in this event. GOV.UK Pay takes GBP only.",
        json_schema_extra={"classification": "public"},
    )
    reference: str = Field(
        description="The paying service's own reference. Not unique: several payments may carry the same.",
        json_schema_extra={"classification": "internal"},
    )
    description: str = Field(
        description="What the payer saw that the payment is for.",
        json_schema_extra={"classification": "internal"},
    )
    state: str = Field(
        description=(
            "Where the payment stood, in the public API's words: created, started, submitted, capturable, "
            "success, failed, cancelled or error. New words may come."
        ),
        json_schema_extra={"classification": "internal"},
    )
    created_at: Timestamp = Field(
        description="When the payment was created at GOV.UK Pay.",
        json_schema_extra={"classification": "internal"},
    )
    provider: str | None = Field(
        default=None,
        description=(
            "Payment service provider: sandbox, stripe or worldpay. Null for payments taken outside "
            "GOV.UK Pay and reported to it."
        ),
        json_schema_extra={"classification": "internal"},
    )
    language: str | None = Field(
        default=None,
        description=(
            "Language of the payment pages: en or cy. Null where the payer saw none, as in recurring "
            "payments."
        ),
        json_schema_extra={"classification": "internal"},
    )
    delayed_capture: bool | None = Field(
        default=None,
        description=(
            "True when the service takes the money itself, some time after authorisation. Null when "
            "GOV.UK Pay did not say."
        ),
        json_schema_extra={"classification": "internal"},
    )
    moto: bool | None = Field(
        default=None,
        description="True for a payment by post or telephone. Null when GOV.UK Pay did not say.",
        json_schema_extra={"classification": "internal"},
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description=(
            "What the paying service attached, up to 15 keys; numbers and booleans as their JSON text. "
            "Treated as personal, since the service may have written anything."
        ),
        json_schema_extra={"classification": "personal"},
    )
    payer_email: str | None = Field(
        default=None,
        description="E-mail address of the payer. Null when none was given.",
        json_schema_extra={"classification": "personal"},
    )
    card_brand: str | None = Field(
        default=None,
        description="Brand of the card, such as Visa. Digits, name and expiry of a card never enter the hub.",
        json_schema_extra={"classification": "personal"},
    )
    card_type: str | None = Field(
        default=None,
        description="debit or credit. Null for some wallets and unrecognised cards.",
        json_schema_extra={"classification": "personal"},
    )
    corporate_card_surcharge: Long | None = Field(
        default=None,
        description="Surcharge for a corporate card, in minor units. Null when there was none.",
        json_schema_extra={"classification": "internal"},
    )
    total_amount: Long | None = Field(
        default=None,
        description=(
            "What the payer paid, surcharge included, in minor units. Null without a surcharge: it is "
            "then the amount."
        ),
        json_schema_extra={"classification": "internal"},
    )


class RefundFailed(EventData):
    """The provider could not pay the refund out. The money is still with the service."""

    type: ClassVar[str] = "payments.refund.failed"

    refund_id: str = Field(
        description="GOV.UK Pay's id of the refund: 26 lower-case letters and digits.",
        json_schema_extra={"classification": "internal"},
    )
    payment_id: str = Field(
        description="GOV.UK Pay's id of the payment that is refunded.",
        json_schema_extra={"classification": "internal"},
    )
    amount: Long = Field(
        description="What is refunded, in minor units of the currency (pence). May be part of the payment.",
        json_schema_extra={"classification": "internal"},
    )
    currency: str = Field(
        description="ISO 4217 code of every amount in this event. GOV.UK Pay takes GBP only.",
        json_schema_extra={"classification": "public"},
    )
    status: str = Field(
        description="The refund's status at GOV.UK Pay: submitted, success or error.",
        json_schema_extra={"classification": "internal"},
    )
    created_at: Timestamp = Field(
        description="When the refund was created at GOV.UK Pay.",
        json_schema_extra={"classification": "internal"},
    )
    settled_on: str | None = Field(
        default=None,
        description=(
            "Date, YYYY-MM-DD, on which the provider took the refund from a payout. Null until then, and "
            "for providers that do not say."
        ),
        json_schema_extra={"classification": "internal"},
    )


class RefundSubmitted(EventData):
    """A refund was asked for and sent to the provider. It may still fail."""

    type: ClassVar[str] = "payments.refund.submitted"

    refund_id: str = Field(
        description="GOV.UK Pay's id of the refund: 26 lower-case letters and digits.",
        json_schema_extra={"classification": "internal"},
    )
    payment_id: str = Field(
        description="GOV.UK Pay's id of the payment that is refunded.",
        json_schema_extra={"classification": "internal"},
    )
    amount: Long = Field(
        description="What is refunded, in minor units of the currency (pence). May be part of the payment.",
        json_schema_extra={"classification": "internal"},
    )
    currency: str = Field(
        description="ISO 4217 code of every amount in this event. GOV.UK Pay takes GBP only.",
        json_schema_extra={"classification": "public"},
    )
    status: str = Field(
        description="The refund's status at GOV.UK Pay: submitted, success or error.",
        json_schema_extra={"classification": "internal"},
    )
    created_at: Timestamp = Field(
        description="When the refund was created at GOV.UK Pay.",
        json_schema_extra={"classification": "internal"},
    )
    settled_on: str | None = Field(
        default=None,
        description=(
            "Date, YYYY-MM-DD, on which the provider took the refund from a payout. Null until then, and "
            "for providers that do not say."
        ),
        json_schema_extra={"classification": "internal"},
    )


class RefundSucceeded(EventData):
    """The provider paid the refund out."""

    type: ClassVar[str] = "payments.refund.succeeded"

    refund_id: str = Field(
        description="GOV.UK Pay's id of the refund: 26 lower-case letters and digits.",
        json_schema_extra={"classification": "internal"},
    )
    payment_id: str = Field(
        description="GOV.UK Pay's id of the payment that is refunded.",
        json_schema_extra={"classification": "internal"},
    )
    amount: Long = Field(
        description="What is refunded, in minor units of the currency (pence). May be part of the payment.",
        json_schema_extra={"classification": "internal"},
    )
    currency: str = Field(
        description="ISO 4217 code of every amount in this event. GOV.UK Pay takes GBP only.",
        json_schema_extra={"classification": "public"},
    )
    status: str = Field(
        description="The refund's status at GOV.UK Pay: submitted, success or error.",
        json_schema_extra={"classification": "internal"},
    )
    created_at: Timestamp = Field(
        description="When the refund was created at GOV.UK Pay.",
        json_schema_extra={"classification": "internal"},
    )
    settled_on: str | None = Field(
        default=None,
        description=(
            "Date, YYYY-MM-DD, on which the provider took the refund from a payout. Null until then, and "
            "for providers that do not say."
        ),
        json_schema_extra={"classification": "internal"},
    )
