"""The contract of polling sources."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any, ClassVar

import pytest

from hub.sdk.clock import SteppedClock
from hub.sdk.connector import Source
from hub.sdk.errors import Retry, Stop
from hub.sdk.polling import PollingSource
from hub.sdk.simulator import Simulator
from hub.testing.contract import Contract, Raw

_PASSING = ("429", "500", "502", "503", "504", "cut", "garbage", "hang")

#: Simulated seconds that pass between what happens and the question, so that "until now" includes it.
_MOMENT = 60


class PollingContract(Contract):
    """What a polling source promises, asked over HTTP. Pages should be small: see `settings`.

    class TestPayments(PollingContract):
        connector, simulator = PaymentSearch, PaySimulator
        settings: ClassVar = {"page_size": 2}
        impatient: ClassVar = {"timeout_seconds": 1}
    """

    connector: ClassVar[type[PollingSource[Any, Any]]]

    _polled: ClassVar[dict[type, list[Raw]]] = {}

    def records(self) -> list[Raw]:
        """The raw records of a few things that the simulator made up."""
        if type(self) not in self._polled:
            self._polled[type(self)] = asyncio.run(self._some())
        return self._polled[type(self)]

    async def test_everything_is_found(self) -> None:
        async with self._world() as (simulator, source):
            made = simulator.populate(7)
            _pass(simulator)
            items, _ = await drain(source, None)
            assert subjects(source, items) == made

    async def test_asking_again_with_the_same_cursor_gives_the_same(self) -> None:
        async with self._world() as (simulator, source):
            simulator.populate(5)
            _pass(simulator)
            cursor, more = None, True
            while more:
                page = await source.fetch(cursor)
                assert list((await source.fetch(cursor)).items) == list(page.items)
                cursor, more = page.next, page.more

    async def test_paging_that_changes_underneath_loses_nothing(self) -> None:
        async with self._world() as (simulator, source):
            made = simulator.populate(5)
            _pass(simulator)
            first = await source.fetch(None)
            made |= simulator.populate(4)
            _pass(simulator)
            rest, cursor = await drain(source, first.next)
            made |= simulator.populate(1)
            _pass(simulator)
            later, _ = await drain(source, cursor)
            assert subjects(source, [*first.items, *rest, *later]) == made

    async def test_what_was_not_committed_comes_again(self) -> None:
        async with self._world() as (simulator, source):
            made = simulator.populate(5)
            _pass(simulator)
            lost, _ = await drain(source, None)
            again, _ = await drain(source, None)
            assert subjects(source, lost) == subjects(source, again) == made

    async def test_another_worker_goes_on_from_the_cursor(self) -> None:
        async with self._world() as (simulator, source):
            made = simulator.populate(5)
            _pass(simulator)
            first = await source.fetch(None)
            successor = self.made(simulator)
            rest, _ = await drain(successor, first.next)
            await successor.close()
            assert subjects(source, [*first.items, *rest]) == made

    @pytest.mark.parametrize("fault", _PASSING)
    async def test_a_failure_that_passes_is_retried_and_loses_nothing(self, fault: str) -> None:
        async with self._world(fault) as (simulator, source):
            made = simulator.populate(3)
            _pass(simulator)
            with pytest.raises(Retry):
                await source.fetch(None)
            simulator.have("a good day")
            items, _ = await drain(source, None)
            assert subjects(source, items) == made

    @pytest.mark.parametrize("fault", ["401", "403"])
    async def test_a_refused_credential_stops_the_instance(self, fault: str) -> None:
        async with self._world(fault) as (simulator, source):
            with pytest.raises(Stop) as caught:
                await source.fetch(None)
            secrets = [str(value) for name, value in simulator.config().items() if name != "base_url"]
            assert not [secret for secret in secrets if secret in str(caught.value)]

    async def test_a_system_that_is_away_is_retried(self) -> None:
        async with self._world() as (_, source):
            pass
        with pytest.raises(Retry):
            await source.fetch(None)
        await source.close()

    @pytest.mark.parametrize("skew", [-90, 90])
    async def test_a_clock_that_is_wrong_by_minutes_loses_nothing(self, skew: int) -> None:
        async with self._world() as (simulator, source):
            ours = source.clock = SteppedClock(simulator.clock.now() + timedelta(seconds=skew))
            found, cursor, made = [], None, set()
            for _ in range(3):
                made |= simulator.populate(2)
                _pass(simulator)
                ours.advance(_MOMENT)
                items, cursor = await drain(source, cursor)
                found += items
            _pass(simulator, 4 * _MOMENT)
            ours.advance(4 * _MOMENT)
            items, _ = await drain(source, cursor)
            assert subjects(source, [*found, *items]) == made

    async def _some(self) -> list[Raw]:
        async with self._world() as (simulator, source):
            simulator.populate(3)
            _pass(simulator)
            items, _ = await drain(source, None)
        return [Raw(body, key=source.raw_key(item, body)) for item in items if (body := body_of(item))]


async def drain(
    source: PollingSource[Any, Any], cursor: str | None, most: int = 1000
) -> tuple[list[dict[str, Any]], str]:
    """All items of the pages from `cursor` on, and the cursor behind them. Fails after `most` pages."""
    items: list[dict[str, Any]] = []
    for _ in range(most):
        page = await source.fetch(cursor)
        items.extend(page.items)
        cursor = page.next
        if not page.more:
            return items, page.next
    raise AssertionError(f"paging did not end within {most} pages")


def body_of(item: dict[str, Any]) -> bytes:
    """An item as a raw record."""
    return json.dumps(item, separators=(",", ":")).encode()


def subjects(source: Source[Any, Any], items: list[dict[str, Any]]) -> set[str]:
    """The subjects of all facts of some items."""
    return {fact.subject for item in items for fact in source.translate(body_of(item))}


def _pass(simulator: Simulator, seconds: float = _MOMENT) -> None:
    if isinstance(simulator.clock, SteppedClock):
        simulator.clock.advance(seconds)
