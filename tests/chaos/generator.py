"""Sends webhooks through all gateways over many connections, and keeps account of what was answered.

Behaves as a source does: what is not accepted is sent again, the same bytes, until it is. Per subject the next
message goes out when the one before was accepted. On purpose it sends some messages again, some through two
gateways at once, and some that no event can be made of.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

import aiohttp

from tests.chaos.checker import Key
from tests.chaos.payloads import ROUTE, Payloads, raw_id_of, signed
from tests.chaos.truth import PAYMENT, Lane, Truth

INSTANCES = {"E08000025": "birmingham-pay", "E09000033": "westminster-pay"}

FRESH = 50

_TIME_LIMIT = 6.0  # seconds that a source waits for an answer
_RECENT = 200  # messages that may be sent once more


@dataclass(frozen=True, slots=True)
class Mix:
    """How much of what is sent: subjects get `per_lane` messages; the others are shares of all messages."""

    per_lane: int = 20
    again: float = 0.03
    twins: float = 0.01
    poison: float = 0.002
    feeless: float = 0.02


class Generator:
    """Sends over `gateways` (URLs), at most `rate` messages a second where that is not 0."""

    def __init__(
        self, truth: Truth, gateways: Sequence[str], seed: int, mix: Mix | None = None, rate: float = 0.0
    ) -> None:
        self.truth = truth
        self.mix = mix or Mix()
        self.sent = 0
        self.accepted = 0
        """Messages accepted so far, repeats and poison not counted: what progress is measured by."""
        self.fresh: set[Key] = set()
        """The next messages that are accepted are noted here, up to `FRESH`; whoever wants to see them delivered
        empties it first."""
        self.poison_due = 0
        self.enough = False
        """Send no more."""
        self.given_up = False
        self.last_accepted = time.monotonic()
        self._gateways = gateways
        self._random = Random(f"generator {seed}")
        self._prefix = f"s{seed % 10**6:06}"
        self._payloads = Payloads()
        self._open: list[Lane] = []
        self._recent: list[tuple[Lane, bytes]] = []
        self._made = 0
        self._poisons = 0
        self._pause = 1 / rate if rate else 0.0
        self._next_at = 0.0
        self._room = asyncio.Event()
        self._room.set()

    def hold(self, full: bool) -> None:
        """Send nothing more for now, or go on: the hub is behind with delivering."""
        (self._room.clear if full else self._room.set)()

    async def run(self, lines: int = 64) -> None:
        """Until there are `enough`, and all that were sent are accepted or given up; `lines` at a time."""
        timeout = aiohttp.ClientTimeout(total=_TIME_LIMIT)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=timeout, skip_auto_headers=("user-agent",)
        ) as session:
            await asyncio.gather(*(self._line(session) for _ in range(lines)))

    async def _line(self, session: aiohttp.ClientSession) -> None:
        while not (self.enough or self.given_up):
            await self._room.wait()
            await self._pace()
            self.sent += 1
            lane = self._next_lane()
            try:
                await self._message(session, lane)
            finally:
                if not lane.doubtful and lane.accepted < self.mix.per_lane:
                    self._open.append(lane)

    async def _pace(self) -> None:
        if self._pause:
            now = time.monotonic()
            self._next_at = max(self._next_at, now) + self._pause
            await asyncio.sleep(self._next_at - now)

    def _next_lane(self) -> Lane:
        """A subject that no other line is busy with."""
        # Old and new ones by turns, so that messages of a subject come close together and far apart.
        if self._open and self._random.random() < 0.9:
            return self._open.pop(self._random.randrange(len(self._open)))
        self._made += 1
        party = self._random.choice(list(INSTANCES))
        feeless = self._random.random() < self.mix.feeless
        lane = Lane(f"{self._prefix}n{self._made:08}", party, feeless)
        self.truth.lanes[lane.subject] = lane
        return lane

    async def _message(self, session: aiohttp.ClientSession, lane: Lane) -> None:
        draw = self._random.random()
        if self.poison_due or draw < self.mix.poison:
            self.poison_due = max(0, self.poison_due - 1)
            await self._send_poison(session, lane)
        body = self._payloads.body(lane, lane.accepted)
        lane.doubtful = True
        if lane.feeless and lane.accepted == 0:
            self.truth.poison_tried(f"route:{ROUTE}:{lane.subject}")
        if draw > 1 - self.mix.twins:
            first = self._random.randrange(len(self._gateways))
            twins = (self._until_accepted(session, lane, body, first + n) for n in range(2))
            accepted = any(await asyncio.gather(*twins))
        else:
            accepted = await self._until_accepted(session, lane, body)
        if not accepted:
            return
        if lane.feeless and lane.accepted == 0:
            self.truth.poison_claimed(f"route:{ROUTE}:{lane.subject}")
        if len(self.fresh) < FRESH:
            self.fresh.add((f"{PAYMENT}:{lane.subject}", lane.accepted))
        lane.accepted += 1
        lane.doubtful = False
        self.accepted += 1
        self.last_accepted = time.monotonic()
        if self._random.random() < self.mix.again:
            self._recent.append((lane, body))
            again = self._random.choice(self._recent[-_RECENT:])
            await self._attempt(session, *again, self._random.randrange(len(self._gateways)))

    async def _until_accepted(
        self, session: aiohttp.ClientSession, lane: Lane, body: bytes, first: int | None = None
    ) -> bool:
        at = self._random.randrange(len(self._gateways)) if first is None else first
        pause = 0.05
        while not self.given_up:
            if await self._attempt(session, lane, body, at):
                return True
            await asyncio.sleep(pause * (0.5 + self._random.random()))
            pause = min(pause * 2, 1.0)
            at += 1
        return False

    async def _send_poison(self, session: aiohttp.ClientSession, lane: Lane) -> None:
        self._poisons += 1
        name = f"{self._prefix}-poison-{self._poisons}"
        body = self._payloads.poison(lane, name, self._random)
        about = f"translate:{raw_id_of(INSTANCES[lane.party], body)}"
        self.truth.poison_tried(about)
        if await self._attempt(session, lane, body, self._random.randrange(len(self._gateways))):
            self.truth.poison_claimed(about)

    async def _attempt(self, session: aiohttp.ClientSession, lane: Lane, body: bytes, at: int) -> bool:
        """Whether it was accepted. An answer that no source should get makes the truth unknown."""
        gateway = self._gateways[at % len(self._gateways)]
        status = 0
        with suppress(aiohttp.ClientError, TimeoutError):
            url = f"{gateway}/webhooks/{INSTANCES[lane.party]}"
            async with session.post(url, data=body, headers=signed(body)) as answer:
                await answer.read()
                status = answer.status
        self.truth.answers[str(status or "no answer")] += 1
        if status not in (0, 202, 429, 503):
            self.truth.unknown.append(f"a gateway answered {status}")
        return status == 202
