"""What a polling source is asked for, on a real Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from hub.sdk import ConnectorConfig, Fact, Page, PollingSource
from tests.stream.at_work import EMITS, Borrowed, Row, at_work, landed, new_instance
from tests.stream.copying import until


class Register(PollingSource[ConnectorConfig, Row]):
    """Hangs the first time that its second page is asked for."""

    name = "register"
    emits = EMITS
    key_field = "licence"
    patience = timedelta(seconds=1)  # in which a page is committed, too

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.asked: list[str | None] = []
        self.given_up = False

    async def fetch(self, cursor: str | None) -> Page:
        self.asked.append(cursor)
        if cursor == "second" and not self.given_up:
            try:
                await asyncio.Event().wait()
            finally:
                self.given_up = True
        return Page([{"licence": cursor or "first", "holder": "made up"}], next="second", more=not cursor)

    def events(self, record: Row) -> Iterator[Fact]:
        return iter(())


async def test_what_does_not_come_within_the_sources_patience_is_given_up_and_asked_for_again(
    kafka: str, tmp_path: Path
) -> None:
    source = Register(new_instance(kafka), ConnectorConfig())
    async with at_work(kafka, Borrowed(kafka), source, tmp_path):
        await until(lambda: {key for key, _, _ in landed(kafka, source.instance)} == {"first", "second"})
    assert source.given_up
    assert source.asked.count("second") > 1
