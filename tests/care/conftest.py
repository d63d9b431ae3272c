"""What the tests of care referrals share: instances beside their simulators, and events to deliver."""

from __future__ import annotations

from typing import Any

from connectors.care_messages.samples import Conversation
from connectors.care_referrals.connector import BarsMessages, Hl7Messages
from hub.sdk import Event, Instance
from hub.sdk.connector import Source
from hub.sdk.facts import to_event
from hub.sdk.simulator import Simulator


def made(cls: type, simulator: Simulator, name: str = "partner", **settings: Any) -> Any:
    """A source or sink of an instance that is configured for `simulator`."""
    folder = cls.__module__.split(".")[1]
    config = cls.config_model(_env_prefix="HUB_TEST_", **{**simulator.config(), **settings})  # type: ignore[attr-defined]
    return cls(Instance(name, folder, "E08000025"), config, simulator.clock)


def event_of(source: Source[Any, Any], body: bytes, correlation_id: str = "") -> Event:
    """The event that the hub makes of one message."""
    headers = {"x-correlation-id": correlation_id} if correlation_id else {}
    (fact,) = source.translate(body, headers)
    return to_event(fact, source.instance.source, source.instance.party, "raw")


def bars_event(simulator: Simulator, conversation: Conversation, fixture: str, after_s: float = 0) -> Event:
    """Of a sample in FHIR."""
    source = made(BarsMessages, simulator, "hospital")
    return event_of(source, conversation.bundle(fixture, after_s), conversation.correlation_id)


def hl7_event(simulator: Simulator, conversation: Conversation, fixture: str, after_s: float = 0) -> Event:
    """Of a sample in HL7 v2."""
    return event_of(made(Hl7Messages, simulator, "ward"), conversation.hl7(fixture, after_s))
