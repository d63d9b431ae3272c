from typing import ClassVar

from connectors.govuk_notify.connector import Messages, Receipts, Texts
from connectors.govuk_notify.simulator import NotifySimulator
from hub.events.generated.notifications import EmailRequested, LetterRequested, TextRequested
from hub.testing.contracts import SinkContract, WebhookContract

FILLED: dict[str, str] = {"licence_reference": "PREM-1"}


class TestMessages(SinkContract):
    connector, simulator = Messages, NotifySimulator
    impatient: ClassVar = {"timeout_seconds": 1}
    passing = (*SinkContract.passing, "daily limit")
    samples = (
        EmailRequested(
            template="licence-renewed", email_address="asha.example@example.com", personalisation=FILLED
        ),
        TextRequested(template="licence-renewed", phone_number="07700 900123", personalisation=FILLED),
        LetterRequested(
            template="licence-renewed",
            address=["Asha Example", "1 Sample Street", "B1 1BB"],
            personalisation=FILLED,
        ),
    )


class TestReceipts(WebhookContract):
    connector, simulator = Receipts, NotifySimulator
    signs_body = False


class TestTexts(WebhookContract):
    connector, simulator = Texts, NotifySimulator
    signs_body = False
