"""All that a connector author imports."""

from hub.events.envelope import Event
from hub.sdk.changes import Changes
from hub.sdk.clock import Clock
from hub.sdk.config import ConnectorConfig
from hub.sdk.connector import Instance, Record
from hub.sdk.errors import Reject, Retry, Stop, Unauthorised
from hub.sdk.facts import Fact
from hub.sdk.http import Http, Refused
from hub.sdk.polling import Page, PollingSource
from hub.sdk.sink import Receipt, Sink
from hub.sdk.webhook import Request, WebhookSource, hmac_of

__all__ = [
    "Changes",
    "Clock",
    "ConnectorConfig",
    "Event",
    "Fact",
    "Http",
    "Instance",
    "Page",
    "PollingSource",
    "Receipt",
    "Record",
    "Refused",
    "Reject",
    "Request",
    "Retry",
    "Sink",
    "Stop",
    "Unauthorised",
    "WebhookSource",
    "hmac_of",
]
