"""The HTTP client of connectors: time limits, and errors named by what happens next."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpx2

from hub.sdk.errors import Reject, Retry, Stop

_RETRYABLE = frozenset({408, 425, 429})
_REFUSED = frozenset({401, 403})
_LONGEST_WAIT_S = 366 * 86_400.0


class Refused(Reject):
    """A refusal that repeating will not change: the status, and the answer's body for codes in it.

    The body may hold personal data, so it is not part of the reason.
    """

    def __init__(self, reason: str, status: int, body: bytes = b"") -> None:
        super().__init__(reason)
        self.status = status
        self.body = body

    def says(self, field: str) -> Any:
        """A top-level field of a JSON body; None where there is none."""
        try:
            told = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return told.get(field) if isinstance(told, dict) else None


class Http:
    """A client for one system: JSON in and out, default policy for failures.

    408, 425, 429, 5xx and transport failures raise `Retry` (honouring `Retry-After`), 401 and 403 raise
    `Stop`, every other status outside 2xx raises `Refused`, a `Reject` that a connector may look into.
    `transport` is the seam for tests.
    """

    def __init__(
        self,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        timeout: float = 10.0,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._client = httpx2.AsyncClient(
            base_url=base_url, headers=dict(headers or {}), timeout=timeout, transport=transport
        )

    async def get_json(self, path: str, **params: str | int) -> Any:
        """GET; the decoded JSON body."""
        return decoded(await self._send("GET", path, params=params))

    async def post_json(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> Any:
        """POST a JSON body; the decoded JSON answer, or None where there is none."""
        response = await self._send("POST", path, json=body, headers=dict(headers or {}))
        return decoded(response) if response.content else None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _send(self, method: str, path: str, **options: Any) -> httpx2.Response:
        try:
            response = await self._client.request(method, path, **options)
        except httpx2.RequestError as error:
            raise Retry(f"{method} {path}: {type(error).__name__}") from None
        if not response.is_success:
            raise_for(response.status_code, response.headers, f"{method} {path}", response.content)
        return response


def raise_for(status: int, headers: Mapping[str, str], what: str, body: bytes = b"") -> None:
    """Raise the error that a failing status stands for."""
    reason = f"{what} answered {status}"
    if status in _RETRYABLE or status >= 500:
        raise Retry(reason, after=retry_after(headers.get("retry-after", ""), time()))
    if status in _REFUSED:
        raise Stop(f"{reason}: check the instance's credentials")
    raise Refused(reason, status, body)


def retry_after(text: str, now: float) -> float | None:
    """Seconds to wait from `now` (epoch seconds), as a `Retry-After` header says in either of its forms
    (RFC 9110, 10.2.3); at most a year, None for what cannot be read."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), _LONGEST_WAIT_S)
    try:
        moment = parsedate_to_datetime(text)
        stamp = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, IndexError, OverflowError):
        return None
    return min(max(0.0, stamp - now), _LONGEST_WAIT_S)


def decoded(response: httpx2.Response) -> Any:
    """The JSON body; half a body or a page of HTML is worth a retry, not a crash."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        raise Retry(f"{response.request.url.path}: the answer is not JSON") from None
