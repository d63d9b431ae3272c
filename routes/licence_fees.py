"""Licence fees: a captured payment for a licence is a fee paid, told to the council that was paid."""

from hub.routes import Route, col

#: Premises, taxi and private-hire licences, and temporary event notices, as councils number them.
LICENCE_REFERENCE = r"^(?:PREM|TAXI|PHV|TEN)[/-]"

licence_fee_paid = Route(
    name="licence-fee-paid",
    on=("payments.payment.captured",),
    when=col("reference").str.contains(LICENCE_REFERENCE) | col("metadata.licence_reference").is_not_null(),
    to=col("ce.party"),
    emits="licensing.fee.paid",
    subject=col("metadata.licence_reference").fill_null(col("reference")),
    columns={
        "council": col("ce.party"),
        "licence_reference": col("metadata.licence_reference").fill_null(col("reference")),
        "payment_id": col("payment_id"),
        "amount": col("amount"),
        "currency": col("currency"),
        "paid_at": col("ce.time"),
        "licence_type": col("metadata.licence_type"),
        "ledger_code": col("metadata.ledger_code"),
    },
)
