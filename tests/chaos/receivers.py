"""Subscribers with bad habits, which keep account of everything that they took, in order of arrival."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import msgspec
from aiohttp import web

from hub.delivery.signing import ID_HEADER, Secret, SignatureError, verify
from tests.chaos.checker import Arrival, Key
from tests.chaos.office import address_of
from tests.chaos.payloads import amount_of, description_of, reference_of
from tests.chaos.truth import FEE_TYPE, GRANTED, LICENCE, VARIED, key_of

Habits = Mapping[str, float]
"""Shares of the deliveries that are met with each; the rest is answered 204.

500, 503, 429, 302   that status
429-later            429 with `Retry-After`
reset                the connection is reset before anything is taken
lost                 taken, and then the connection is reset instead of an answer
half                 taken, and half an answer
hang                 taken, and never answered
slow                 taken, and answered after a moment
"""

TAKEN = frozenset({"lost", "half", "hang", "slow"})
_HANG_S = 20.0  # longer than the hub waits
_SLOW_S = 0.5


@dataclass
class Subscriber:
    """One subscription, and what its receiver makes of it."""

    name: str
    party: str
    types: tuple[str, ...] = ("*",)
    usual: Habits = field(default_factory=dict)
    habits: Habits = field(default_factory=dict)
    id: str = ""
    secret: Secret | None = None
    arrivals: list[Arrival] = field(default_factory=list)
    keys: set[Key] = field(default_factory=set)
    """What `arrivals` are about."""
    rows: int = 0
    """Those of `keys` that are about licences."""
    met: Counter[str] = field(default_factory=Counter)

    @property
    def taken(self) -> int:
        """Deliveries taken so far, repeats included."""
        return len(self.arrivals)


class Receivers:
    """All subscribers, on one port of every socket given."""

    def __init__(self, subscribers: Iterable[Subscriber], seed: int) -> None:
        self.subscribers = {one.name: one for one in subscribers}
        self.last_taken = time.monotonic()
        self.away = False
        self._random = Random(f"receivers {seed}")
        self._runner: web.ServerRunner | None = None

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Answer on these sockets until `close`."""
        server = web.Server(self._answer)
        self._runner = web.ServerRunner(server, access_log=None)
        await self._runner.setup()
        for one in sockets:
            await web.SockSite(self._runner, one).start()

    async def close(self) -> None:
        """Hang up."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "GET":  # a poller, for whom there is nothing
            return web.json_response({"results": [], "total": 0, "count": 0, "page": 1, "_links": {}})
        subscriber = self.subscribers[request.path.strip("/")]
        body = await request.read()
        habit = "reset" if self.away else self._habit(subscriber)
        if not habit or habit in TAKEN:
            habit = habit if self._take(subscriber, request.headers, body) else "401"
        subscriber.met[habit or "204"] += 1
        if habit in ("", "204"):
            return web.Response(status=204)
        if habit == "slow":
            await asyncio.sleep(_SLOW_S)
            return web.Response(status=204)
        if habit.isdigit():
            return web.Response(status=int(habit))
        if habit == "429-later":
            return web.Response(status=429, headers={"retry-after": "1"})
        transport = request.transport
        if habit == "hang":
            await asyncio.sleep(_HANG_S)
        elif habit == "half" and transport is not None:
            transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of ")
            transport.close()
        if transport is not None and habit != "half":
            transport.abort()
        return web.Response(status=500)  # to nobody

    def _habit(self, subscriber: Subscriber) -> str:
        draw = self._random.random()
        for name, share in {**subscriber.usual, **subscriber.habits}.items():
            draw -= share
            if draw < 0:
                return name
        return ""

    def _take(self, subscriber: Subscriber, headers: Mapping[str, str], body: bytes) -> bool:
        """Keep account of it; false where the signature does not hold, as with a hub whose clock is wrong."""
        try:
            if subscriber.secret is not None:
                verify(
                    {name.lower(): value for name, value in headers.items()},
                    body,
                    subscriber.secret,
                    time.time(),
                )
        except SignatureError:
            return False
        self.last_taken = time.monotonic()
        arrival = arrival_of(msgspec.json.decode(body), headers.get(ID_HEADER, ""))
        subscriber.arrivals.append(arrival)
        if arrival.key is not None and arrival.key not in subscriber.keys:
            subscriber.keys.add(arrival.key)
            subscriber.rows += arrival.key[0].startswith(LICENCE)
        return True


def arrival_of(event: Mapping[str, Any], webhook_id: str) -> Arrival:
    """What a delivery in structured mode is about, and whether it still is what was sent."""
    data: Mapping[str, Any] = event["data"]
    key = key_of(event["type"], data)
    if key is None:
        return Arrival(None, webhook_id)
    return Arrival(key, webhook_id, event["id"] == webhook_id and _intact(event, data, key[1]))


def _intact(event: Mapping[str, Any], data: Mapping[str, Any], number: int) -> bool:
    if event["type"] in (GRANTED, VARIED):
        subject = data["licence_reference"]
        return bool(event["subject"] == subject and data.get("address") == address_of(subject))
    subject = data["payment_id"]
    if data.get("amount") != amount_of(subject):
        return False
    if event["type"] == FEE_TYPE:
        return bool(data.get("licence_reference") == reference_of(subject))
    return bool(data.get("description") == description_of(number) and event["subject"] == subject)
