"""When a register is handed over: when it changed, and, changed or not, before it is too old."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from hub.sdk import ConnectorConfig, Event, Instance, Receipt
from hub.sdk.clock import Clock
from hub.sdk.sinks import Entry, ExportSink
from hub.stream import exporting
from hub.stream.exporting import Exporting

DAY = 86_400.0


class Copy:
    """A register of one row."""

    version = "1"

    def open(self) -> None: ...
    def abandon(self) -> None: ...
    def catch_up(self) -> None: ...

    def digest(self) -> str:
        return self.version

    def after(self, key: str, most: int) -> list[tuple[str, bytes]]:
        return [] if key else [("a", self.version.encode())]


class Weekly(ExportSink[ConnectorConfig]):
    name = "weekly"
    settled_after = timedelta(0)
    at_least_every = timedelta(days=6)
    taken: list[list[Any]]

    def entry(self, event: Event) -> Entry:
        raise NotImplementedError

    async def export(self, rows: AsyncIterable[Mapping[str, Any]], moment: datetime) -> Receipt:
        self.taken.append([row async for row in rows])
        return Receipt("taken")


class Desk:
    """What a work is given, without Kafka."""

    def __init__(self) -> None:
        self.state = SimpleNamespace(cursor="")

    async def commit(self, outputs: list[Any], cursor: str) -> None:
        self.state.cursor = cursor

    def progress(self) -> None: ...


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_register_that_does_not_change_is_handed_over_again_before_it_is_too_old(
    monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    now = 1_000_000.0
    monkeypatch.setattr(exporting, "time", lambda: now)
    copy, desk, days = Copy(), Desk(), []

    async def begun() -> Exporting:
        sink = Weekly(Instance("national", "weekly", "E08000025"), ConnectorConfig(), Clock())
        sink.taken = []
        work = Exporting(sink, copy)  # type: ignore[arg-type]
        await work.begin(desk)  # type: ignore[arg-type]
        return work

    work = await begun()
    for day in range(16):
        if day == 9:
            copy.version = "2"
        if restarted:
            work = await begun()
        await work.round(desk)  # type: ignore[arg-type]
        if work.connector.taken:  # type: ignore[attr-defined]
            days.append((day, work.connector.taken.pop()))  # type: ignore[attr-defined]
        now += DAY
    assert days == [(0, [1]), (6, [1]), (9, [2]), (15, [2])]
