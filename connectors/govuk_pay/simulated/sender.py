"""The simulated sender of webhooks: signature, time limit and retry schedule as in GOV.UK Pay's own service."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2

from hub.sdk.clock import Clock

#: Waits after each failed attempt, in seconds: a minute, five, an hour, a day, two days. Six attempts in all.
WAITS = (60, 300, 3600, 86_400, 172_800)

#: How long an attempt may take. Seconds of real time, however fast the simulator's clock runs.
TIME_LIMIT = 3.0

#: How many attempts may be under way at once.
_LINES = 32


@dataclass
class Message:
    """One webhook message and its attempts: when each was made, and its status (0 for none)."""

    message_id: str
    event_type: str
    body: bytes
    status: str = "PENDING"
    attempts: list[tuple[datetime, int]] = field(default_factory=list)


def encode(message: dict[str, Any]) -> bytes:
    """The body of a message."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()


def sign(body: bytes, secret: str) -> dict[str, str]:
    """The headers of a message."""
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "Pay-Signature": signature}


class Sender:
    """Posts messages, six times at most each, always the same bytes and signature."""

    def __init__(self, clock: Clock, secret: str) -> None:
        self.clock = clock
        self.secret = secret
        self._client: httpx2.AsyncClient | None = None
        self._lines = asyncio.Semaphore(_LINES)

    async def send(self, url: str, message: Message) -> None:
        """Until it succeeds or the attempts are used up. Only 2xx counts; redirects are not followed."""
        for wait in (*WAITS, None):
            async with self._lines:  # waiting for a line is not part of the time that an attempt may take
                status = await self._attempt(url, message)
            message.attempts.append((self.clock.now(), status))
            if 200 <= status < 300:
                message.status = "SUCCESSFUL"
                return
            if wait is not None:
                await self.clock.sleep(wait)
        message.status = "FAILED"

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _attempt(self, url: str, message: Message) -> int:
        self._client = self._client or httpx2.AsyncClient(timeout=TIME_LIMIT, trust_env=False)
        try:
            async with asyncio.timeout(TIME_LIMIT):  # the client's own limit starts anew with every byte
                headers = sign(message.body, self.secret)
                response = await self._client.post(url, content=message.body, headers=headers)
        except (httpx2.RequestError, TimeoutError):
            return 0
        return response.status_code
