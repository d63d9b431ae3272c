"""The HTTP client of connectors: authentication, time limits, and errors named by what happens next."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from time import time
from typing import Any, TypeVar

import httpx2

from hub.sdk.errors import HubError, Reject, Retry, Stop
from hub.sdk.limits import Breaker, RateLimit

_RETRYABLE = frozenset({408, 425, 429})
_REFUSED = frozenset({401, 403})
#: Bytes of an answer that is read whole, decompressed: several times what any documented one has.
LARGEST = 16 << 20

E = TypeVar("E", bound=HubError)


@cache
def _usual_trust() -> ssl.SSLContext:
    """One for all clients: to read the certificate authorities takes tens of milliseconds."""
    return httpx2.create_ssl_context()


class _Answered:
    """An answer other than 2xx: the status, and the body for codes in it.

    The body may hold personal data, so it is not part of the reason.
    """

    status: int
    body: bytes

    def says(self, field: str) -> Any:
        """A top-level field of a JSON body; None where there is none."""
        try:
            told = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return told.get(field) if isinstance(told, dict) else None


class Refused(_Answered, Reject):
    """A refusal that repeating will not change."""

    def __init__(self, reason: str, status: int, body: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.body = body


class Failed(_Answered, Retry):
    """A failure that may pass, of a system that answered. A connector may look into it, to wait for longer, say."""

    def __init__(self, reason: str, after: float | None, status: int, body: bytes = b"") -> None:
        super().__init__(reason, after)
        self.status = status
        self.body = body


@dataclass(frozen=True, slots=True)
class Policy:
    """What is special about calling one system; the defaults are for one about which nothing is known.

    `timeout_s` is for each connect, write and read. `words` finds, in the body of a refusal, the system's own
    code or sentence for it: it becomes part of the reason that people read, so it must pass on nothing that can
    hold personal data or what a caller sent. `tls` is a client certificate (`hub.sdk.auth.client_certificate`).
    """

    timeout_s: float = 10.0
    limit: RateLimit | None = None
    breaker: Breaker | None = None
    words: Callable[[int, bytes], str] | None = None
    tls: ssl.SSLContext | None = None


class Http:
    """A client for one system: JSON in and out, default policy for failures.

    408, 425, 429 and 5xx raise `Failed`, a `Retry` (honouring `Retry-After`), failures of the transport `Retry`,
    401 and 403 `Stop`, every other status outside 2xx `Refused`, a `Reject`. A connector may look into both. One call
    is one attempt: repeats are the hub's business. (`auth` may ask for a new token and try once more on 401.)
    Redirects are not followed. What is read whole may have `LARGEST` bytes, decompressed; a longer answer raises
    `Retry`, and of a refusal only the status counts. `transport` is the seam for tests.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        auth: httpx2.Auth | None = None,
        policy: Policy | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._policy = policy or Policy()
        self.auth = auth
        self.credential_expires = 0.0
        """When the credential that was used last ends, epoch seconds; 0 for never or unknown."""
        self._client = httpx2.AsyncClient(
            base_url=base_url,
            headers=dict(headers or {}),
            auth=auth,
            timeout=self._policy.timeout_s,
            verify=self._policy.tls or _usual_trust(),
            transport=transport,
        )

    async def get_json(self, path: str, **params: str | int) -> Any:
        """GET; the decoded JSON body."""
        return decoded(await self.send("GET", path, params=params))

    async def post_json(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        """POST a JSON body; the decoded JSON answer, or None where there is none."""
        response = await self.send("POST", path, json=body, headers=dict(headers or {}))
        return decoded(response) if response.content else None

    async def send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        """One request with the options of httpx (`json`, `content`, `params`, `headers`); a 2xx answer, read whole."""
        async with self.stream(method, path, **options) as response:
            await read_whole(response)
        return response

    @asynccontextmanager
    async def stream(self, method: str, path: str, **options: Any) -> AsyncIterator[httpx2.Response]:
        """The same for an answer that is read in pieces: `async for chunk in response.aiter_bytes()`.

        304 is passed on as it is, for requests that carry conditions.
        """
        policy = self._policy
        if policy.breaker:
            policy.breaker.ask()
        if policy.limit:
            await policy.limit.wait()
        try:
            response = await self._client.send(
                self._client.build_request(method, path, **options), stream=True
            )
            try:
                if not response.is_success and response.status_code != 304:
                    await self._refused(response, f"{method} {path}")
                self._went_well(response)
                yield response
            finally:
                await response.aclose()
        except httpx2.RequestError as error:
            raise self._noted(Retry(f"{method} {path}: {type(error).__name__}")) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _refused(self, response: httpx2.Response, what: str) -> None:
        status = response.status_code
        try:
            body = await read_whole(response)
        except (httpx2.RequestError, Retry):
            body = b""
        told = self._policy.words(status, body) if self._policy.words else ""
        try:
            raise_for(
                status, response.headers, f"{what} answered {status}" + (f" ({told})" if told else ""), body
            )
        except Retry as retry:
            if self._policy.limit:
                self._policy.limit.heard(response.headers, retry.after)
            raise self._noted(retry) from None
        except (Stop, Refused) as error:
            if self._policy.breaker:
                self._policy.breaker.worked()  # it answers, if not what we like
            raise self._noted(error) from None

    def _went_well(self, response: httpx2.Response) -> None:
        self.credential_expires = float(getattr(self.auth, "expires", 0) or 0)
        if self._policy.breaker:
            self._policy.breaker.worked()
        if self._policy.limit:
            self._policy.limit.heard(response.headers)

    def _noted(self, error: E) -> E:
        if isinstance(error, Retry) and self._policy.breaker:
            self._policy.breaker.failed()
        return error


async def read_whole(response: httpx2.Response) -> bytes:
    """The decompressed body, which the answer keeps. Raises Retry where it has over `LARGEST` bytes."""
    body = bytearray()
    async with aclosing(response.aiter_bytes()) as pieces:
        async for piece in pieces:
            body += piece
            if len(body) > LARGEST:
                raise Retry(f"{response.request.url.path}: the answer is longer than {LARGEST >> 20} MiB")
    response._content = bytes(body)  # where `aread` puts it, which reads without limit
    return response.content


def raise_for(status: int, headers: Mapping[str, str], reason: str, body: bytes = b"") -> None:
    """Raise the error that a failing status stands for."""
    if status in _RETRYABLE or status >= 500:
        raise Failed(reason, retry_after(headers.get("retry-after", ""), time()), status, body)
    if status in _REFUSED:
        raise Stop(f"{reason}: check the instance's credentials")
    raise Refused(reason, status, body)


def retry_after(text: str, now: float) -> float | None:
    """Seconds to wait from `now` (epoch seconds), as a `Retry-After` header says in either of its forms
    (RFC 9110, 10.2.3); None for what cannot be read. Whoever waits has a limit."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
        stamp = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, IndexError, OverflowError):
        return None
    return max(0.0, stamp - now)


def decoded(response: httpx2.Response) -> Any:
    """The JSON body; half a body or a page of HTML is worth a retry, not a crash."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        raise Retry(f"{response.request.url.path}: the answer is not JSON") from None
