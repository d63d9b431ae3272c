"""The contract of sinks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec
import pytest

from hub.events.envelope import Event
from hub.events.model import EventData
from hub.sdk.errors import Reject, Retry, Stop
from hub.sdk.facts import Fact, to_event
from hub.sdk.sftp_simulator import BUSY, LOGIN
from hub.sdk.simulator import LOST
from hub.sdk.sink import OutcomeSink, Receipt, Sink
from hub.testing.made_up import made_up
from hub.testing.suite import Suite


class SinkContract(Suite):
    """What a sink promises. The simulator counts `effects`. `samples` has data of every accepted type, made up
    from their contracts unless the sink needs better ones.

    class TestEmails(SinkContract):
        connector, simulator = Emails, NotifySimulator
        samples = (LicenceRenewed(…),)
        impatient: ClassVar = {"timeout_seconds": 1}
    """

    connector: ClassVar[type[Sink[Any]]]
    samples: ClassVar[tuple[EventData, ...]] = ()
    #: Faults of the simulator after which a delivery is to be tried again, after which nothing may be tried until
    #: a person acts, and after which the event is to be set aside.
    passing: ClassVar[tuple[str, ...]] = ("429", "500", "502", "503", "504", "cut", "garbage", "hang", LOST)
    halting: ClassVar[tuple[str, ...]] = ("401", "403")
    refusing: ClassVar[tuple[str, ...]] = ("400", "422")

    async def test_every_accepted_type_takes_effect_once(self) -> None:
        async with self._world() as (simulator, sink):
            events = self._events()
            for event in events:
                receipt = await sink.deliver(event, event.envelope.id)
                assert receipt.reference
            assert {event.envelope.type for event in events} == {model.type for model in sink.accepts}
            assert simulator.effects().total() == len(events)

    async def test_a_repeat_has_no_second_effect(self) -> None:
        async with self._world() as (simulator, sink):
            events = self._events()
            for event in events:
                await sink.deliver(event, event.envelope.id)
                again = await self._once_more(sink, event)
                assert again.reference
            assert simulator.effects().total() == len(events)

    async def test_a_failure_that_passes_is_retried_and_takes_effect_once(self) -> None:
        for fault in self.passing:
            async with self._world(fault) as (simulator, sink):
                (event, *_) = self._events()
                with pytest.raises(Retry):
                    await sink.deliver(event, event.envelope.id)
                simulator.have("a good day")
                await self._once_more(sink, event)
                assert simulator.effects().total() == 1, fault

    async def test_a_refused_credential_stops_the_instance_and_tells_no_secret(self) -> None:
        if not self.halting:
            pytest.skip("no fault of this system is a refused credential")
        for fault in self.halting:
            async with self._world(fault) as (_, sink):
                (event, *_) = self._events()
                with pytest.raises(Stop) as caught:
                    await sink.deliver(event, event.envelope.id)
                self.assert_no_secret(sink, str(caught.value))

    async def test_what_the_system_refuses_is_set_aside(self) -> None:
        if not self.refusing:
            pytest.skip("no fault of this system is a refusal of one event")
        for fault in self.refusing:
            async with self._world(fault) as (_, sink):
                (event, *_) = self._events()
                with pytest.raises(Reject) as caught:
                    await sink.deliver(event, event.envelope.id)
                self.assert_no_secret(sink, str(caught.value))

    async def test_a_system_that_is_away_is_retried(self) -> None:
        async with self._world() as (_, sink):
            pass
        (event, *_) = self._events()
        with pytest.raises(Retry):
            await sink.deliver(event, event.envelope.id)
        await sink.close()

    async def test_another_type_is_refused(self) -> None:
        (event, *_) = self._events()
        sink = self.made()
        sink.accepts = ()
        with pytest.raises(Reject):
            sink.data_of(event)

    async def test_what_came_of_a_delivery_becomes_declared_events(self) -> None:
        async with self._world() as (_, sink):
            if not isinstance(sink, OutcomeSink):
                pytest.skip("nothing comes of a delivery here")
            for event in self._events():
                receipt = await sink.deliver(event, event.envelope.id)
                assert receipt.outcome is not None, "the receipt tells no outcome"
                facts = sink.translate(_encoded(receipt))
                assert facts
                assert {fact.subject for fact in facts} == {sink.raw_key(receipt.outcome, event)}
                first, again = (
                    [to_event(f, "/s", "p", "c") for f in sink.translate(_encoded(receipt))] for _ in "12"
                )
                assert first == again

    async def test_secrets_show_nowhere(self) -> None:
        self.assert_no_secret(self.made())

    async def _once_more(self, sink: Any, event: Event) -> Receipt:
        """As the hub does where an attempt may have been made before."""
        found: Receipt | None = await sink.find(event, event.envelope.id)
        made: Receipt = found or await sink.deliver(event, event.envelope.id)
        return made

    def _events(self) -> list[Event]:
        moment = datetime(2026, 1, 25, 16, 20, tzinfo=UTC)
        samples = self.samples or [made_up(model) for model in self.connector.accepts]
        facts = [Fact(data, f"S-{n}", moment, f"k{n}") for n, data in enumerate(samples)]
        return [to_event(fact, "/connectors/somebody/else", "E08000025", "c") for fact in facts]


class MllpSinkContract(SinkContract):
    """The same for a sink over MLLP, which knows no credentials."""

    passing = ("AR", "hang", "cut", LOST)
    halting = ()
    refusing = ("AE",)


class FileSinkContract(SinkContract):
    """The same for a sink that leaves files: the same name twice is one effect."""

    passing: ClassVar[tuple[str, ...]] = (BUSY,)
    halting: ClassVar[tuple[str, ...]] = (LOGIN,)
    refusing: ClassVar[tuple[str, ...]] = ()


def _encoded(receipt: Receipt) -> bytes:
    return msgspec.json.encode(receipt.outcome)
