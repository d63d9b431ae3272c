"""Sinks as recipients of their party's inbox: order, retries, backlogs and restarts are those of the deliver stage.

Of what a receipt leads to, an outcome or an entry of a register, the record is written in the transaction that
notes the delivery. A sink is told at most one thing twice: what a worker was delivering when it died; see `find`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import structlog

from hub.delivery.message import REPLAY, Message
from hub.delivery.schedule import Outcome
from hub.events.envelope import Event
from hub.events.ids import derive
from hub.registry.schemas import Registry
from hub.sdk.errors import Reject, Retry, Stop
from hub.sdk.fleet import Fleet
from hub.sdk.sink import OutcomeSink, Receipt, Sink
from hub.sdk.sinks import ExportSink
from hub.stream.conditions import Oversight
from hub.stream.controls import Control
from hub.stream.instances import partition_of
from hub.stream.raw import CASE, CAUSE, raw_output
from hub.stream.recipients import Recipient
from hub.stream.records import Output
from hub.stream.redrive import REDRIVE
from hub.stream.register_cache import entry_output
from hub.stream.replay import may_apply

log = structlog.get_logger()

#: What entered the inbox so long before we took it over, or not longer after, somebody else may have tried:
#: clocks of workers differ by less.
_DOUBT_S = 60.0

#: Headers of what may have been applied when it was in the inbox before.
_SENT_AGAIN = frozenset({REDRIVE, REPLAY})


class Sinks:
    """The sinks of a fleet, by party."""

    def __init__(
        self,
        fleet: Fleet,
        registry: Registry,
        partitions: int,
        oversight: Oversight,
        now: Callable[[], float],
    ) -> None:
        self._registry = registry
        self._now = now
        made = now()
        self._of: dict[str, list[_Desk]] = {}
        for member in fleet.members.values():
            for sink in member.sinks:
                desk = _Desk(sink, made, partitions, oversight)
                self._of.setdefault(member.instance.party, []).append(desk)

    def of(self, party: str) -> Sequence[Recipient]:
        """Those of a party; asked whenever partitions are taken over."""
        return [_Recipient(desk, self._registry, self._now() + _DOUBT_S) for desk in self._of.get(party, ())]


def recipient_of(sink: Sink[Any]) -> str:
    """What a sink is called among the recipients of its party's inbox."""
    return f"sink/{sink.key}"


class _Desk:
    """One sink in this process, for as long as that lives."""

    def __init__(self, sink: Sink[Any], made: float, partitions: int, oversight: Oversight) -> None:
        self.sink = sink
        self.made = made
        self.key = sink.key
        self.types = frozenset(model.type for model in sink.accepts)
        self._partition = partition_of(self.key, partitions)
        self._controls, self._conditions = oversight.controls, oversight.conditions
        self._halted: Control | None = None  # what was said last when it halted

    async def allowed(self) -> None:
        """Returns when the instance is neither paused nor halted."""
        instance = self.sink.instance.name
        await self._controls.until_running(instance, since=self._halted)
        self._halted = None

    async def attempt(self, event: Event, again: bool) -> Receipt:
        """One call of the sink, bounded in time. Raises as `deliver`."""
        key, patience = event.envelope.id, self.sink.patience.total_seconds()
        try:
            async with asyncio.timeout(patience):
                found = await self.sink.find(event, key) if again else None
                receipt = found or await self.sink.deliver(event, key)
        except TimeoutError:
            raise self._bad(Retry(f"no answer within {patience:.0f} s")) from None
        except Retry as retry:
            raise self._bad(retry) from None
        except Stop as stop:
            self._halt(stop)
            raise
        self._conditions.good(self.sink, event=True)
        return receipt

    def outputs(self, event: Event, receipt: Receipt) -> tuple[Output, ...]:
        """What a receipt leads to. Raises Reject."""
        sink, envelope = self.sink, event.envelope
        outputs = []
        if isinstance(sink, ExportSink):
            outputs.append(entry_output(self.key, self._partition, sink.entry(event)))
        if isinstance(sink, OutcomeSink) and receipt.outcome is not None:
            body = msgspec.json.encode(receipt.outcome)
            raw_id = derive(sink.instance.source, sink.name, envelope.id)
            beside = {CASE: envelope.correlation_id, CAUSE: envelope.id}
            outputs.append(raw_output(sink, raw_id, sink.raw_key(receipt.outcome, event), body, beside))
        return tuple(outputs)

    def _halt(self, stop: Stop) -> None:
        if self._halted is None:
            log.error("sink-halted", instance=self.key, reason=stop.reason)
        self._halted = self._controls.of(self.sink.instance.name)
        self._conditions.bad(self.sink, stop.reason, halted=True)

    def _bad(self, retry: Retry) -> Retry:
        self._conditions.bad(self.sink, retry.reason)
        return retry


class _Recipient:
    """A sink from one take-over of partitions, or change of recipients, to the next."""

    stage = "sink"

    def __init__(self, desk: _Desk, registry: Registry, doubted: float) -> None:
        self.id = recipient_of(desk.sink)
        self.created = desk.made
        self._desk = desk
        self._registry = registry
        self._doubted = doubted
        self._tried: set[str] = set()

    def wants(self, event_type: str) -> bool:
        return event_type in self._desk.types

    def takes(self, message: Message) -> bool:
        if REPLAY in message.texts and not may_apply(message.headers, self._desk.sink.instance.name):
            return False
        try:
            return self._desk.sink.wants(message.event(self._registry))
        except Exception:  # noqa: BLE001 - `send` meets it again, and tells it
            return True

    async def send(self, message: Message) -> Outcome:
        try:
            event = message.event(self._registry)
            while True:
                await self._desk.allowed()
                try:
                    return await self._once(event, message)
                except Stop:
                    continue  # with the event in hand, until a person resumes the instance
        except Reject as reject:
            self._tried.discard(message.id)
            return Outcome(reason=reject.reason, final=True, kind=reject.kind, field=reject.field)
        except Retry as retry:
            return Outcome(reason=retry.reason, retry_after=retry.after)

    async def _once(self, event: Event, message: Message) -> Outcome:
        again = message.id in self._tried or message.timestamp / 1000 < self._doubted
        again = again or not _SENT_AGAIN.isdisjoint(message.texts)
        self._tried.add(message.id)
        receipt = await self._desk.attempt(event, again)
        outputs = self._desk.outputs(event, receipt)
        self._tried.discard(message.id)
        return Outcome(status=200, reason=f"receipt {receipt.reference}"[:100], outputs=outputs)

    def gone(self, reason: str) -> list[Output]:
        return []
