"""Sends one delivery over HTTP: bounded in time and size, no redirects, never to a private address by name."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx2

from hub.delivery.address import AddressError
from hub.delivery.guard import guarded_transport
from hub.delivery.http import render, signed
from hub.delivery.schedule import Outcome, retry_after
from hub.delivery.subscription import Subscription, secrets_of
from hub.events.envelope import Envelope

_AGENT = "integration-hub"


class Sender:
    """Posts signed events to subscribers; keeps connections open between deliveries."""

    def __init__(
        self, master_key: bytes, *, allow_local: bool, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._master_key = master_key
        self._client = httpx2.AsyncClient(
            transport=transport or guarded_transport(allow_local=allow_local),
            follow_redirects=False,
            trust_env=False,
        )

    async def send(self, subscription: Subscription, envelope: Envelope, data: Any) -> Outcome:
        """One attempt. Never raises for what the other side does."""
        now = time.time()
        headers, body = render(envelope, data, subscription.mode)
        secrets = secrets_of(subscription, self._master_key, now)
        headers = signed({**headers, "user-agent": _AGENT}, body, envelope.id, secrets, now)
        try:
            async with asyncio.timeout(subscription.timeout_s):
                return await self._post(subscription, headers, body)
        except TimeoutError:
            return Outcome(reason=f"no answer within {subscription.timeout_s:g} s")
        except AddressError as error:
            return Outcome(reason=str(error))
        except httpx2.HTTPError as error:
            return Outcome(reason=type(error).__name__)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, subscription: Subscription, headers: dict[str, str], body: bytes) -> Outcome:
        request = self._client.build_request(
            "POST", subscription.url, content=body, headers=headers, timeout=subscription.timeout_s
        )
        response = await self._client.send(request, stream=True)  # the answer's body is nobody's concern
        try:
            if response.is_success:
                await response.aread()  # empty or short; so that the connection can be used again
            after = retry_after(response.headers.get("retry-after", ""), time.time())
            return Outcome(status=response.status_code, retry_after=after)
        finally:
            await response.aclose()
