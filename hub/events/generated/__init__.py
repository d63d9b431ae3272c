"""Generated from schemas/ by `python -m hub.registry --write`: change the contracts, not this."""

from importlib import import_module
from typing import cast

from hub.events.model import EventData

MODELS = {
    "care.referral.accepted": ("care", "ReferralAccepted"),
    "care.referral.cancelled": ("care", "ReferralCancelled"),
    "care.referral.rejected": ("care", "ReferralRejected"),
    "care.referral.requested": ("care", "ReferralRequested"),
    "care.referral.undelivered": ("care", "ReferralUndelivered"),
    "care.referral.updated": ("care", "ReferralUpdated"),
    "driving.licence.changed": ("driving", "LicenceChanged"),
    "driving.licence.disqualified": ("driving", "LicenceDisqualified"),
    "driving.licence.expired": ("driving", "LicenceExpired"),
    "licensing.fee.paid": ("licensing", "FeePaid"),
    "licensing.premises-licence.ended": ("licensing", "PremisesLicenceEnded"),
    "licensing.premises-licence.fee-due": ("licensing", "PremisesLicenceFeeDue"),
    "licensing.premises-licence.granted": ("licensing", "PremisesLicenceGranted"),
    "licensing.premises-licence.renewed": ("licensing", "PremisesLicenceRenewed"),
    "licensing.premises-licence.revoked": ("licensing", "PremisesLicenceRevoked"),
    "licensing.premises-licence.suspended": ("licensing", "PremisesLicenceSuspended"),
    "licensing.premises-licence.varied": ("licensing", "PremisesLicenceVaried"),
    "licensing.taxi-licence.ended": ("licensing", "TaxiLicenceEnded"),
    "licensing.taxi-licence.granted": ("licensing", "TaxiLicenceGranted"),
    "licensing.taxi-licence.revoked": ("licensing", "TaxiLicenceRevoked"),
    "licensing.taxi-licence.suspended": ("licensing", "TaxiLicenceSuspended"),
    "licensing.taxi-licence.varied": ("licensing", "TaxiLicenceVaried"),
    "licensing.taxi-register.accepted": ("licensing", "TaxiRegisterAccepted"),
    "licensing.taxi-register.refused": ("licensing", "TaxiRegisterRefused"),
    "notifications.email.requested": ("notifications", "EmailRequested"),
    "notifications.letter.requested": ("notifications", "LetterRequested"),
    "notifications.message.accepted": ("notifications", "MessageAccepted"),
    "notifications.message.delivered": ("notifications", "MessageDelivered"),
    "notifications.message.failed": ("notifications", "MessageFailed"),
    "notifications.text.received": ("notifications", "TextReceived"),
    "notifications.text.requested": ("notifications", "TextRequested"),
    "payments.payment.captured": ("payments", "PaymentCaptured"),
    "payments.payment.created": ("payments", "PaymentCreated"),
    "payments.payment.expired": ("payments", "PaymentExpired"),
    "payments.payment.failed": ("payments", "PaymentFailed"),
    "payments.payment.refunded": ("payments", "PaymentRefunded"),
    "payments.payment.succeeded": ("payments", "PaymentSucceeded"),
    "payments.refund.failed": ("payments", "RefundFailed"),
    "payments.refund.submitted": ("payments", "RefundSubmitted"),
    "payments.refund.succeeded": ("payments", "RefundSucceeded"),
}


def model_for(event_type: str) -> type[EventData]:
    """The model of an event type, imported when first asked for. Raises `KeyError`."""
    module, name = MODELS[event_type]
    return cast("type[EventData]", getattr(import_module(f"{__name__}.{module}"), name))
