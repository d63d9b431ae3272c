from typing import ClassVar

from connectors.care_messages.samples import events
from connectors.care_referrals.connector import BarsMessages, BarsPartner, Hl7Messages, Hl7Partner
from connectors.care_referrals.simulator import CareSimulator
from hub.testing.contracts import ListenerContract, MllpSinkContract, SinkContract, WebhookContract


class TestBars(WebhookContract):
    connector, simulator = BarsMessages, CareSimulator
    signs_body, proofs = False, ("authorization",)


class TestBarsPartner(SinkContract):
    connector, simulator = BarsPartner, CareSimulator
    samples = events()
    refusing = ()  # a fault meets the login too, which then halts; tests/care/test_bars.py has the partner refuse
    impatient: ClassVar = {"timeout_seconds": 1}


class TestHl7(ListenerContract):
    connector, simulator = Hl7Messages, CareSimulator


class TestHl7Partner(MllpSinkContract):
    connector, simulator = Hl7Partner, CareSimulator
    samples = events()
    impatient: ClassVar = {"timeout_seconds": 1}
