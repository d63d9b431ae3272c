"""Webhook sources: the system calls us. The hub answers 2xx only when the bytes are safe in Kafka."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic

from pydantic import SecretStr

from hub.events.ids import derive
from hub.sdk.connector import C, R, Source
from hub.sdk.errors import Reject, Unauthorised


@dataclass(frozen=True)
class Request:
    """What arrived: lower-case header names, and the body byte for byte.

    `path` is what follows `/webhooks/<instance>`, decoded, `/` for nothing; `query` holds the last value of
    each parameter.
    """

    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    path: str = "/"
    query: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def outline(self) -> Mapping[str, Any]:
        """The JSON object in the body, or nothing: what is not JSON is kept all the same and judged later."""
        return outline_of(self.body)

    def require_hmac(self, header: str, secret: SecretStr, digest: str = "sha256") -> None:
        """Refuse unless `header` holds the lower-case hex HMAC of the raw body. Constant-time compare.

        An empty secret admits nobody. Raises Unauthorised.
        """
        given = self.headers.get(header.lower(), "")
        if not given:
            raise Unauthorised(f"the header {header} is missing", field=header)
        if not secret.get_secret_value() or not _same(given.strip(), hmac_of(self.body, secret, digest)):
            raise Unauthorised(f"the signature in {header} does not match the body", field=header)

    def require_bearer(self, *secrets: SecretStr | None) -> None:
        """Refuse unless `Authorization` is `Bearer` and one of `secrets` (the present one and the one before it).

        Constant-time compare; None and empty secrets admit nobody. Raises Unauthorised.
        """
        scheme, _, given = self.headers.get("authorization", "").partition(" ")
        known = [secret.get_secret_value() for secret in secrets if secret is not None]
        matches = [bool(one) and _same(given.strip(), one) for one in known]  # all of them: no early way out
        if scheme.lower() != "bearer" or not given:
            raise Unauthorised("the header Authorization holds no bearer token", field="Authorization")
        if not any(matches):
            raise Unauthorised("the bearer token is not the one agreed", field="Authorization")

    def require_header(self, header: str, secret: SecretStr) -> None:
        """Refuse unless `header` holds the secret itself (an API key of ours). Constant-time compare."""
        if not secret.get_secret_value() or not _same(
            self.headers.get(header.lower(), ""), secret.get_secret_value()
        ):
            raise Unauthorised(f"the header {header} does not hold the key agreed", field=header)


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.encode(errors="replace"))


def hmac_of(body: bytes, secret: SecretStr, digest: str = "sha256") -> str:
    """The lower-case hex HMAC of `body` under the secret's UTF-8 bytes."""
    return hmac.new(secret.get_secret_value().encode(), body, digest).hexdigest()


@dataclass(frozen=True, slots=True)
class Landed:
    """A request whose bytes are safe: its raw record's id, and whether this gateway landed that id before.

    `again` is best effort, from the memory of one process: good enough to answer a repeat as the protocol asks
    (BaRS: 409 `duplicate`), never a reason to drop anything.
    """

    raw_id: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to the caller."""

    status: int = 202
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_json(
        cls,
        content: Any,
        status: int = 200,
        media_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`content` as JSON."""
        return cls(status, json.dumps(content).encode(), {"content-type": media_type, **(headers or {})})


class WebhookSource(Source[C, R], Generic[C, R]):
    """A source that calls the hub at `/webhooks/<instance>` and below.

    For a request that one of `takes` names, on the gateway's loop, in this order, and none may block:

    1. `verify` says whether it is genuine: raises `Unauthorised` (answered 401) for anything forged, and may
       raise `Reject` (answered 422) for what the protocol has the receiver refuse at once. Nothing of a refused
       request is kept; the refusal is counted and told to operators without what the sender wrote.
    2. the body goes to Kafka byte for byte with the headers of `keeps`, under `raw_id` and `raw_key`;
    3. `answer` says what the caller hears, after the bytes are safe. If it raises, the caller hears 202.

    `refusal` puts every other answer (401, 422, 503 while Kafka is away, 413 for a body too large, 408 for one that
    does not come, 429 or 503 for too much at a time) in the protocol's own words; the hub's are problem documents
    (RFC 9457). Later, in a worker, `parse` and `events`.

    Requests that one of `serves` names are answered by `serve` and keep nothing. Anything else is 404 or 405. An
    instance may have several webhook sources; each method and path belongs to one of them.
    """

    name = "webhook"
    kind = "webhook"
    #: Methods and paths that bring records, `("POST /$process-message",)`. A path is exact; `*` for the last
    #: segment takes any one segment.
    takes: ClassVar[tuple[str, ...]] = ("POST /",)
    #: Methods and paths that only ask, `("GET /metadata",)`.
    serves: ClassVar[tuple[str, ...]] = ()
    #: Names of headers that are kept with the bytes and given to `parse` as attributes.
    keeps: ClassVar[tuple[str, ...]] = ()
    #: The dotted name, in the JSON, of the message's own id, where the system gives one: a message sent twice is
    #: then one raw record by id.
    message_field: ClassVar[str] = ""

    def verify(self, request: Request) -> None:
        """Return if genuine, raise `Unauthorised` if not, `Reject` for what is to be refused at the door."""
        raise NotImplementedError

    def answer(self, request: Request, landed: Landed) -> Answer:
        """What the caller hears once the bytes are safe: 202 and nothing, unless overridden."""
        return Answer()

    def refusal(self, request: Request, status: int, error: Reject | None) -> Answer | None:
        """A refusal in the protocol's words, or None for the hub's own.

        `status` is 401 (`error` is what `verify` raised), 422 (likewise), 408, 413, 429, or 503; of the last four
        the body is empty here. A caller that gives up for good on 4xx must be answered 5xx when the hub has a bad
        moment: 503 must stay 5xx, and 429, which says that this sender alone has too much under way, become it.
        """
        return None

    async def serve(self, request: Request) -> Answer:
        """The answer to a request of `serves`. Raise `Unauthorised` or `Reject` as in `verify`."""
        raise NotImplementedError

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers with which the system itself would send `body`: for `hub trigger`, and never for a caller."""
        raise NotImplementedError

    def raw_id(self, request: Request) -> str:
        """The id of the raw record: from the message's own id, or from the bytes.

        Override it, and `raw_key`, where the id or the entity stands in a header.
        """
        message = lookup(request.outline, self.message_field) or hashlib.sha256(request.body).hexdigest()
        return derive(self.instance.source, self.name, message)

    def raw_key(self, request: Request) -> str:
        """The Kafka key of the raw record: the entity, so that its records stay in order."""
        return lookup(request.outline, self.key_field) or self.raw_id(request)

    @classmethod
    def matches(cls, method: str, path: str, patterns: tuple[str, ...]) -> bool:
        """Whether one of `patterns` (`takes` or `serves`) names this method and path."""
        return any(_matches(pattern, method, path) for pattern in patterns)


def _matches(pattern: str, method: str, path: str) -> bool:
    wanted, _, where = pattern.partition(" ")
    if wanted != method:
        return False
    if where.endswith("/*"):
        parent, _, last = path.rpartition("/")
        return parent == where[:-2] and bool(last)
    return where == path


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
