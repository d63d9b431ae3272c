"""The made-up ledger: books a fee once per idempotency key, and answers a repeat as it did the first time."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from hub.sdk.clock import Clock
from hub.sdk.simulator import LOST, Simulator


class LedgerSimulator(Simulator):
    """`bookings` by idempotency key."""

    bad_days: ClassVar[dict[str, dict[str, float]]] = {
        "some answers lost": {LOST: 0.3, "503": 0.2},
        "token revoked": {"401": 1.0},
    }

    def __init__(self, clock: Clock | None = None, seed: int | None = None) -> None:
        super().__init__(clock, seed)
        self.bookings: dict[str, dict[str, Any]] = {}

    def config(self) -> dict[str, Any]:
        """Where it is."""
        return {"ledger_url": self.url}

    def routes(self) -> list[BaseRoute]:
        """One."""
        return [Route("/bookings", self._book, methods=["POST"])]

    def effects(self) -> Counter[str]:
        """One per key."""
        return Counter(list(self.bookings))

    async def _book(self, request: Request) -> Response:
        told = await request.json()
        number = f"B{len(self.bookings) + 1:05}"
        booking = {"number": number, "at": self.clock.now().isoformat(), **told}
        return JSONResponse(self.bookings.setdefault(request.headers["idempotency-key"], booking), 201)
