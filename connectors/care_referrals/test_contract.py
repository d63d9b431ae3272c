from typing import ClassVar

from connectors.care_referrals.connector import BarsMessages
from connectors.care_referrals.simulator import CareSimulator
from hub.testing.contracts import WebhookContract

_BEARER = "BaRS's proxy proves itself with a bearer token, which says nothing about the body"
_IDS = (
    "of the headers with which the proxy calls, all but Authorization are no signature but ids, answered 400"
)


class TestBars(WebhookContract):
    connector, simulator = BarsMessages, CareSimulator
    waive: ClassVar = {
        "test_a_forged_body_is_refused": _BEARER,
        "test_secrets_show_nowhere": _BEARER,
        "test_a_missing_signature_is_refused": _IDS,
        "test_a_truncated_or_altered_signature_is_refused": _IDS,
    }
