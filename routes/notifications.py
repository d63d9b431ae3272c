"""What the people who deal with a council are told, and what became of it."""

from __future__ import annotations

from typing import Any

from hub.routes import Route, col

#: As in licence_fees.py.
LICENCE_REFERENCE = r"^(?:PREM|TAXI|PHV|TEN)[/-]"


def _thanks(payment: dict[str, Any]) -> dict[str, Any]:
    """The email that says that the fee came."""
    return {
        "template": "licence-fee-paid",
        "email_address": payment["payer_email"],
        "personalisation": {
            "licence_reference": payment["metadata.licence_reference"] or payment["reference"],
            "amount": f"£{payment['amount'] / 100:,.2f}",
        },
    }


licence_fee_thanks = Route(
    name="licence-fee-thanks",
    on=("payments.payment.captured",),
    when=col("payer_email").is_not_null()
    & (col("reference").str.contains(LICENCE_REFERENCE) | col("metadata.licence_reference").is_not_null()),
    to=col("ce.party"),
    emits="notifications.email.requested",
    subject=col("metadata.licence_reference").fill_null(col("reference")),
    python=_thanks,
    reads=("reference", "metadata.licence_reference", "amount", "payer_email"),
)

own_notifications = Route(
    name="own-notifications",
    on=("notifications.message.*", "notifications.text.received"),
    to=col("ce.party"),
)


def _renewal(licence: dict[str, Any]) -> dict[str, Any]:
    """The email that says that the licence goes on."""
    return {
        "template": "licence-renewed",
        "email_address": licence["contact_email"],
        "personalisation": {
            "licence_reference": licence["licence_reference"],
            "premises": licence["premises_name"] or "",
            "until": licence["ends_on"] or "",
        },
    }


licence_renewed_email = Route(
    name="licence-renewed-email",
    on=("licensing.premises-licence.renewed",),
    when=col("contact_email").is_not_null(),
    to=col("ce.party"),
    emits="notifications.email.requested",
    subject=col("licence_reference"),
    python=_renewal,
    reads=("licence_reference", "premises_name", "ends_on", "contact_email"),
)
