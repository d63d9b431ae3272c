from typing import ClassVar

from connectors.govuk_pay.connector import PaymentSearch, PayWebhooks, RefundSearch
from connectors.govuk_pay.simulator import PaySimulator
from hub.testing.contracts import PollingContract, WebhookContract


class TestWebhooks(WebhookContract):
    connector, simulator = PayWebhooks, PaySimulator


class TestPayments(PollingContract):
    connector, simulator = PaymentSearch, PaySimulator
    settings: ClassVar = {"page_size": 2}
    impatient: ClassVar = {"timeout_seconds": 1}


class TestRefunds(PollingContract):
    connector, simulator = RefundSearch, PaySimulator
    settings: ClassVar = {"page_size": 2}
    impatient: ClassVar = {"timeout_seconds": 1}
