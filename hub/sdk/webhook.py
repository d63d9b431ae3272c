"""Webhook sources: the system calls us. The hub answers 2xx only when the bytes are safe in Kafka."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic

from pydantic import SecretStr

from hub.events.ids import derive
from hub.sdk.connector import C, R, Source
from hub.sdk.errors import Unauthorised


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived: lower-case header names, and the body byte for byte."""

    headers: Mapping[str, str]
    body: bytes

    def require_hmac(self, header: str, secret: SecretStr, digest: str = "sha256") -> None:
        """Refuse unless `header` holds the lower-case hex HMAC of the raw body. Constant-time compare.

        Raises Unauthorised.
        """
        given = self.headers.get(header.lower(), "")
        if not given:
            raise Unauthorised(f"the header {header} is missing", field=header)
        expected = hmac_of(self.body, secret, digest)
        if not hmac.compare_digest(expected.encode(), given.strip().encode(errors="replace")):
            raise Unauthorised(f"the signature in {header} does not match the body", field=header)


def hmac_of(body: bytes, secret: SecretStr, digest: str = "sha256") -> str:
    """The lower-case hex HMAC of `body` under the secret's UTF-8 bytes."""
    return hmac.new(secret.get_secret_value().encode(), body, digest).hexdigest()


class WebhookSource(Source[C, R], Generic[C, R]):
    """A source that calls the hub at `/webhooks/<instance>`.

    `verify` runs on the gateway before anything is kept, on every request; it must be quick and must raise
    `Unauthorised` for anything forged. `message_field` is the dotted name, in the JSON, of the message's own
    id, where the system gives one: a message sent twice is then one raw record by id.
    """

    name = "webhook"
    message_field: ClassVar[str] = ""

    def verify(self, request: Request) -> None:
        """Return if genuine, raise `Unauthorised` if not."""
        raise NotImplementedError

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers with which the system itself would send `body`: for `hub trigger`, and never for a caller."""
        raise NotImplementedError

    def raw_id(self, body: bytes, outline: Mapping[str, Any]) -> str:
        """The id of the raw record: from the message's own id, or from the bytes."""
        message = lookup(outline, self.message_field) or hashlib.sha256(body).hexdigest()
        return derive(self.instance.source, self.name, message)

    def raw_key(self, body: bytes, outline: Mapping[str, Any]) -> str:
        """The Kafka key of the raw record: the entity, so that its records stay in order."""
        return lookup(outline, self.key_field) or self.raw_id(body, outline)


def outline_of(body: bytes) -> Mapping[str, Any]:
    """The JSON object in `body`, or nothing: what is not JSON is kept all the same and judged later."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def lookup(outline: Mapping[str, Any], path: str) -> str:
    """The text or number at a dotted path, as text; empty if it is not there or is not valid Unicode."""
    found: Any = outline
    for name in path.split(".") if path else ():
        if not isinstance(found, Mapping):
            return ""
        found = found.get(name)
    if isinstance(found, str):
        # JSON can escape half of a surrogate pair, which neither Kafka nor a digest can take.
        return "" if any("\ud800" <= sign <= "\udfff" for sign in found[:255]) else found[:255]
    return str(found) if isinstance(found, int) and not isinstance(found, bool) else ""
