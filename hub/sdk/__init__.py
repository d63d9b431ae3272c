"""All that a connector author imports."""

from hub.events.envelope import Event
from hub.sdk.auth import (
    ApiKey,
    Assertion,
    BodySignature,
    ClientCredentials,
    Login,
    MeshToken,
    RequestJwt,
    Token,
    client_certificate,
    jwt_expiry,
)
from hub.sdk.changes import Changes
from hub.sdk.clock import LONDON, Clock, london_day
from hub.sdk.config import ConnectorConfig
from hub.sdk.connector import Attributes, Instance, Record
from hub.sdk.errors import Reject, Retry, Stop, Unauthorised
from hub.sdk.facts import Fact
from hub.sdk.files import Change, Dropped, FileDropSource, RegisterSource
from hub.sdk.http import Failed, Http, Policy, Refused
from hub.sdk.limits import Breaker, RateLimit
from hub.sdk.listener import ListenerSettings, ListenerSource
from hub.sdk.mailbox import Inbox, Letter, Mailbox, MailboxSource
from hub.sdk.paging import Validators, Window, header_link, next_link
from hub.sdk.places import FileSettings, Place
from hub.sdk.polling import Page, PollingSource, SearchSource
from hub.sdk.rows import BadRow, csv_rows, json_lines, xml_rows
from hub.sdk.sink import OutcomeSink, Receipt, Sink
from hub.sdk.sinks import Entry, ExportSink, FileSink, MailboxSink, MllpSink, Outgoing
from hub.sdk.webhook import Answer, Landed, Request, WebhookSource, hmac_of

__all__ = [
    "LONDON",
    "Answer",
    "ApiKey",
    "Assertion",
    "Attributes",
    "BadRow",
    "BodySignature",
    "Breaker",
    "Change",
    "Changes",
    "ClientCredentials",
    "Clock",
    "ConnectorConfig",
    "Dropped",
    "Entry",
    "Event",
    "ExportSink",
    "Fact",
    "Failed",
    "FileDropSource",
    "FileSettings",
    "FileSink",
    "Http",
    "Inbox",
    "Instance",
    "Landed",
    "Letter",
    "ListenerSettings",
    "ListenerSource",
    "Login",
    "Mailbox",
    "MailboxSink",
    "MailboxSource",
    "MeshToken",
    "MllpSink",
    "OutcomeSink",
    "Outgoing",
    "Page",
    "Place",
    "Policy",
    "PollingSource",
    "RateLimit",
    "Receipt",
    "Record",
    "Refused",
    "RegisterSource",
    "Reject",
    "Request",
    "RequestJwt",
    "Retry",
    "SearchSource",
    "Sink",
    "Stop",
    "Token",
    "Unauthorised",
    "Validators",
    "WebhookSource",
    "Window",
    "client_certificate",
    "csv_rows",
    "header_link",
    "hmac_of",
    "json_lines",
    "jwt_expiry",
    "london_day",
    "next_link",
    "xml_rows",
]
