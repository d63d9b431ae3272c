"""The contract of sinks that hand over whole registers."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar

from hub.events.envelope import Event
from hub.sdk.simulator import Simulator
from hub.sdk.sink import Receipt
from hub.sdk.sinks import ExportSink
from hub.testing.sink_contract import SinkContract


class ExportContract(SinkContract):
    """What a sink promises, where each event is folded into a register that is handed over at once, over and over.

    `effects` of the simulator has the entries that the system holds, once each. The first of `samples` is one that
    enters something.
    """

    connector: ClassVar[type[ExportSink[Any]]]

    def made(self, simulator: Simulator | None = None, clock: Any = None) -> Any:
        """The sink, with a `deliver` that exports all that was entered so far."""
        sink: Any = super().made(simulator, clock)
        rows: dict[str, Mapping[str, Any]] = {}

        async def deliver(event: Event, key: str) -> Receipt:
            entry = sink.entry(event)
            rows.pop(entry.key, None)
            if entry.row is not None:
                rows[entry.key] = entry.row
            receipt: Receipt = await sink.export(_stream(rows), sink.clock.now())
            return receipt

        sink.deliver = deliver
        return sink

    async def test_every_accepted_type_takes_effect_once(self) -> None:
        async with self._world() as (simulator, sink):
            entered = set()
            for event in self._events():
                entry = sink.entry(event)
                entered.discard(entry.key)
                entered |= {entry.key} if entry.row is not None else set()
                await sink.deliver(event, event.envelope.id)
                assert simulator.effects().total() == len(entered)
            assert {data.type for data in self.samples} == {model.type for model in sink.accepts}
            assert 0 < len(entered) < len(self.samples)

    async def test_a_repeat_has_no_second_effect(self) -> None:
        async with self._world() as (simulator, sink):
            for event in self._events():
                await sink.deliver(event, event.envelope.id)
            before: Counter[str] = simulator.effects()
            for event in self._events():
                await sink.deliver(event, event.envelope.id)
            assert simulator.effects() == before

    async def test_what_is_no_longer_entered_goes(self) -> None:
        async with self._world() as (simulator, sink):
            (event, *_) = self._events()
            await sink.deliver(event, event.envelope.id)
            assert simulator.effects().total() == 1
            await sink.export(_stream({}), sink.clock.now())
            assert not simulator.effects()


async def _stream(rows: Mapping[str, Mapping[str, Any]]) -> AsyncIterator[Mapping[str, Any]]:
    for key in sorted(rows):
        yield rows[key]
