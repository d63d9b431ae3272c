"""CloudEvents 1.0 over HTTP (protocol binding, sections 3.1 and 3.2): what a delivery is on the wire, and back.

Either way the request is signed as Standard Webhooks asks, over the very bytes of the body.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from hub.delivery.signing import ID_HEADER, SIGNATURE_HEADER, TIMESTAMP_HEADER, Secret, sign
from hub.delivery.subscription import Subscription
from hub.events.envelope import SPEC_VERSION, Envelope

USER_AGENT = "integration-hub/1 (webhooks; standardwebhooks.com)"
STRUCTURED = "application/cloudevents+json"
JSON = "application/json"
REPLAY_HEADER = "hub-replay"

# Section 3.1.3.2: all printable ASCII but space, double quote and per cent goes as it is.
_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
_PLAIN = re.compile(r"[\x21\x23\x24\x26-\x7e]*")
_NAME = re.compile(r"[a-z0-9]+")
_ESCAPED = re.compile(r"\\(.)")
_REQUIRED = ("id", "source", "type")

_encode = msgspec.json.Encoder().encode


class Content:
    """An event as it goes out: written once per content mode, for all subscribers and attempts.

    `data` is ready for JSON; `replay` is the plan's id, for what was sent before.
    """

    __slots__ = ("_bodies", "attributes", "data", "replay")

    def __init__(self, envelope: Envelope, data: Any, replay: str = "") -> None:
        self.attributes = envelope.attributes()
        self.data = data
        self.replay = replay
        self._bodies: dict[str, bytes] = {}

    def body(self, mode: str) -> bytes:
        """Of a request. Raises ValueError or TypeError for what JSON cannot hold."""
        body = self._bodies.get(mode)
        if body is None:
            whole = {**self.attributes, "datacontenttype": JSON, "data": self.data}
            body = self._bodies[mode] = _encode(whole if mode == "structured" else self.data)
        return body


def request_for(
    subscription: Subscription, content: Content, secrets: Iterable[Secret], now: float
) -> tuple[dict[str, str], bytes]:
    """Headers (lower-case names) and body of one attempt at `now` (epoch seconds).

    `webhook-id` is the event's id and the same in every attempt: receivers drop repeats by it. Raises
    ValueError or TypeError for what JSON cannot hold.
    """
    body = content.body(subscription.mode)
    if subscription.mode == "structured":
        headers = {"content-type": f"{STRUCTURED}; charset=utf-8"}
    else:
        headers = {f"ce-{name}": percent_encode(text) for name, text in content.attributes.items()}
        headers["content-type"] = JSON
    message_id, timestamp = percent_encode(content.attributes["id"]), int(now)
    headers["user-agent"] = USER_AGENT
    headers[ID_HEADER] = message_id
    headers[TIMESTAMP_HEADER] = str(timestamp)
    headers[SIGNATURE_HEADER] = sign(secrets, message_id, timestamp, body)
    if content.replay:
        headers[REPLAY_HEADER] = percent_encode(content.replay)
    return headers, body


def parse(headers: Mapping[str, str], body: bytes) -> tuple[dict[str, str], Any]:
    """The attributes and the data of a delivery in either mode; the reverse of `request_for`, for receivers.

    Header names in any case. Data is what JSON gives; text or bytes for other media types; None without a
    body. Check the signature first (`signing.verify`). Raises ValueError naming what is wrong.
    """
    given = {name.lower(): value for name, value in headers.items()}
    content_type = given.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == STRUCTURED:
        attributes, data = _structured(body)
    elif media_type.startswith("application/cloudevents"):
        raise ValueError("content-type: of the CloudEvents formats, only single events in JSON are taken")
    else:
        attributes = {
            name[3:]: percent_decode(name, value) for name, value in given.items() if name.startswith("ce-")
        }
        attributes.pop("datacontenttype", None)  # in this mode it is `content-type`, and nothing else
        if content_type:
            attributes["datacontenttype"] = content_type
        data = _data(media_type or JSON, body)
    if attributes.get("specversion") != SPEC_VERSION:
        raise ValueError("specversion: this is no CloudEvent, or not of version 1.0")
    for name in _REQUIRED:
        if not attributes.get(name):
            raise ValueError(f"{name}: missing from the CloudEvent")
    return attributes, data


def percent_encode(text: str) -> str:
    """An attribute as a header value: `Euro €` is `Euro%20%E2%82%AC`. Raises UnicodeEncodeError for half a
    surrogate pair, which is no text."""
    return text if _PLAIN.fullmatch(text) else quote(text, safe=_SAFE)


def percent_decode(name: str, value: str) -> str:
    """The reverse; takes quoted strings as well, as the standard asks. Raises ValueError naming the header."""
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = _ESCAPED.sub(r"\1", value[1:-1])
    try:
        return unquote(value, errors="strict")
    except UnicodeDecodeError:
        raise ValueError(f"{name}: not UTF-8") from None


def _structured(body: bytes) -> tuple[dict[str, str], Any]:
    event = _json(body)
    if not isinstance(event, dict):
        raise ValueError("body: not a JSON object")
    data = event.pop("data", None)
    encoded = event.pop("data_base64", None)
    if encoded is not None:
        if data is not None:
            raise ValueError("data: given twice, as data and as data_base64")
        data = _base64(encoded)
    return {name: _text(name, value) for name, value in event.items() if value is not None}, data


def _text(name: str, value: Any) -> str:
    """The canonical text of an attribute (CloudEvents 1.0, type system)."""
    if not _NAME.fullmatch(name):
        raise ValueError("an attribute's name is not of lower-case letters and digits")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value)
    raise ValueError(f"{name}: neither text, whole number nor truth value")


def _data(media_type: str, body: bytes) -> Any:
    if not body:
        return None
    if media_type in (JSON, "text/json") or media_type.endswith("+json"):
        return _json(body)
    if media_type.startswith("text/"):
        try:
            return body.decode()
        except UnicodeDecodeError:
            raise ValueError("body: not UTF-8") from None
    return body


def _json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("body: not JSON") from None


def _base64(encoded: Any) -> bytes:
    try:
        return b64decode(encoded, validate=True)
    except (ValueError, TypeError):
        raise ValueError("data_base64: not base64") from None
