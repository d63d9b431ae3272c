"""Sends one delivery over HTTP: bounded in time and size, never to a private address.

It speaks to the transport, not through a client: so there are no redirects, no cookies and no proxies to turn
off, and half the cost.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from typing import Any

import httpx2

from hub.delivery.address import AddressError
from hub.delivery.guard import GuardedTransport
from hub.delivery.http import request_for
from hub.delivery.schedule import Outcome, retry_after
from hub.delivery.subscription import Subscription, secrets_of
from hub.events.envelope import Envelope

_LONGEST_ANSWER = 64 * 1024


class Sender:
    """Posts signed events to subscribers; keeps connections open between deliveries."""

    def __init__(
        self,
        master_key: bytes,
        *,
        allow_local: bool = False,
        transport: httpx2.AsyncBaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._master_key = master_key
        self._transport = transport or GuardedTransport(allow_local=allow_local)
        self._now = now

    async def send(self, subscription: Subscription, envelope: Envelope, data: Any) -> Outcome:
        """One attempt, over within the subscription's time limit; `data` is ready for JSON.

        Never raises for what the other side does. The answer counts once it is whole: one that breaks off is
        a failed attempt, and the same event is sent again under the same `webhook-id`.
        """
        now = self._now()
        try:
            secrets = secrets_of(subscription, self._master_key, now)
            headers, body = request_for(subscription, envelope, data, secrets, now)
        except (ValueError, TypeError) as error:
            return Outcome(reason=f"cannot be written as JSON ({type(error).__name__})", final=True)
        try:
            async with asyncio.timeout(subscription.timeout_s):
                return await self._post(subscription, headers, body)
        except (TimeoutError, httpx2.TimeoutException):
            return Outcome(reason=f"no answer within {subscription.timeout_s:g} s")
        except AddressError as error:
            return Outcome(reason=str(error))
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return Outcome(reason=_reason(error))

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def _post(self, subscription: Subscription, headers: dict[str, str], body: bytes) -> Outcome:
        limits = dict.fromkeys(("connect", "read", "write", "pool"), subscription.timeout_s)
        request = httpx2.Request(
            "POST", subscription.url, headers=headers, content=body, extensions={"timeout": limits}
        )
        response = await self._transport.handle_async_request(request)
        try:
            read = 0
            async for chunk in response.stream:  # type: ignore[union-attr] # an async transport's is async
                read += len(chunk)
                if read > _LONGEST_ANSWER:
                    break  # nobody's concern; without its end, the connection is not used again
        finally:
            await response.aclose()
        status = response.status_code
        after = retry_after(response.headers.get("retry-after", ""), self._now())
        reason = "" if 200 <= status < 300 else f"the subscriber answered {status}"
        return Outcome(status, reason, after)


def _reason(error: BaseException) -> str:
    """What went wrong, for people. The error's own text stays out: it may hold URLs and what was answered."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "the subscriber's certificate is not valid"
        if isinstance(cause, ssl.SSLError):
            return "no secure connection (TLS)"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx2.ConnectError):
        return "no connection"
    if isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError):
        return "the connection broke, or what came back is not HTTP"
    return type(error).__name__
