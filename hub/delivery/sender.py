"""Sends one delivery over HTTP: bounded in time and size, never to a private address."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable

import aiohttp
import httpx2

from hub.delivery.address import AddressError
from hub.delivery.guard import connected_to, guarded_session, target
from hub.delivery.http import Content, request_for
from hub.delivery.schedule import Outcome
from hub.delivery.subscription import Subscription, secrets_of
from hub.sdk.http import retry_after

_LONGEST_ANSWER = 64 * 1024


class Sender:
    """Posts signed events to subscribers; keeps connections open between deliveries.

    Can be made anywhere, but belongs to the event loop of its first `send`. `trust` replaces the certificate
    authorities of the system.
    """

    def __init__(
        self,
        master_key: bytes,
        *,
        allow_local: bool = False,
        trust: ssl.SSLContext | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._master_key = master_key
        self._allow_local = allow_local
        # Finds the system's authorities wherever they lie, and takes none that the environment names.
        self._trust = trust or httpx2.create_ssl_context(trust_env=False)
        self._now = now
        self._session: aiohttp.ClientSession | None = None

    async def send(self, subscription: Subscription, content: Content) -> Outcome:
        """One attempt, over within the subscription's time limit.

        Never raises for what the other side does. The answer counts once it is whole: one that breaks off is
        a failed attempt, and the same event is sent again under the same `webhook-id`.
        """
        now = self._now()
        try:
            secrets = secrets_of(subscription, self._master_key, now)
            headers, body = request_for(subscription, content, secrets, now)
        except (ValueError, TypeError) as error:
            return Outcome(reason=f"cannot be written as JSON ({type(error).__name__})", final=True)
        try:
            async with asyncio.timeout(subscription.timeout_s):
                return await self._post(subscription, headers, body)
        except TimeoutError:
            return Outcome(reason=f"no answer within {subscription.timeout_s:g} s")
        except AddressError as error:
            return Outcome(reason=str(error))
        except aiohttp.ClientError as error:
            return Outcome(reason=_reason(error))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _post(self, subscription: Subscription, headers: dict[str, str], body: bytes) -> Outcome:
        addresses: list[str] = []
        connected_to.set(addresses)
        try:
            return await self._exchange(subscription, headers, body)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            if addresses:
                raise
            # A kept connection that was just being closed. Sent again at once, as RFC 9110 (9.2.2) allows for
            # what is idempotent: receivers drop repeats by `webhook-id`.
            return await self._exchange(subscription, headers, body)

    async def _exchange(self, subscription: Subscription, headers: dict[str, str], body: bytes) -> Outcome:
        if self._session is None:
            self._session = guarded_session(allow_local=self._allow_local, trust=self._trust)
        url = target(subscription.url)
        # Leaving the block closes the connection of an answer that was not read to its end.
        async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
            read = 0
            async for chunk in response.content.iter_any():
                read += len(chunk)
                if read > _LONGEST_ANSWER:
                    break  # nobody's concern
        status = response.status
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
    if isinstance(error, aiohttp.ClientConnectorError):
        return "no connection"
    return "the connection broke, or what came back is not HTTP"
