from typing import ClassVar

from connectors.care_messages.samples import events
from connectors.care_referrals.connector import BarsMessages, BarsPartner, Hl7Messages, Hl7Partner
from connectors.care_referrals.simulator import CareSimulator
from hub.testing.contracts import ListenerContract, MllpSinkContract, SinkContract, WebhookContract

_BEARER = "BaRS's proxy proves itself with a bearer token, which says nothing about the body"
_IDS = (
    "of the headers with which the proxy calls, all but Authorization are no signature but ids, answered 400"
)
_HEADER = "the conversation stands in a header; the key is the Bundle.id, which BaRS keeps throughout it"


class TestBars(WebhookContract):
    connector, simulator = BarsMessages, CareSimulator
    waive: ClassVar = {
        "test_a_forged_body_is_refused": _BEARER,
        "test_a_missing_signature_is_refused": _IDS,
        "test_a_truncated_or_altered_signature_is_refused": _IDS,
        "test_the_raw_key_is_the_subject_so_that_order_holds": _HEADER,
    }


class TestBarsPartner(SinkContract):
    connector, simulator = BarsPartner, CareSimulator
    samples = events()
    refusing = ()  # a fault meets the login too, which then halts; tests/care/test_bars.py has the partner refuse
    settings: ClassVar = {"timeout_seconds": 0.5}


class TestHl7(ListenerContract):
    connector, simulator = Hl7Messages, CareSimulator


class TestHl7Partner(MllpSinkContract):
    connector, simulator = Hl7Partner, CareSimulator
    samples = events()
    settings: ClassVar = {"timeout_seconds": 0.5}
