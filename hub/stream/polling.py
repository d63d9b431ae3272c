"""What a polling source does in a round: one page, and the cursor behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from hub.sdk.polling import Page, PollingSource
from hub.stream.instances import Desk, remaining
from hub.stream.raw import raw_output
from hub.stream.records import Output


class Polling:
    """The work of a polling source."""

    def __init__(self, source: PollingSource[Any, Any]) -> None:
        self.connector = source

    @property
    def patience(self) -> float:
        """As the source says."""
        return self.connector.patience.total_seconds()

    async def begin(self, desk: Desk) -> float:
        """A round under way goes on; the next begins when it is time, and not because a worker did: it may be paid
        for."""
        return remaining(self._every, desk.state.polled_at) if desk.state.over else 0

    async def round(self, desk: Desk) -> float:
        """Fetch a page and commit it."""
        page = await self.connector.fetch(desk.state.cursor)
        await desk.commit(self._raw(page), page.next, over=not page.more)
        return 0 if page.more else self._every

    async def end(self) -> None:
        """Nothing to release."""

    @property
    def _every(self) -> float:
        return self.connector.instance.interval(self.connector.every)

    def _raw(self, page: Page) -> Iterator[Output]:
        source = self.connector
        for item in page.items:
            body = json.dumps(item, separators=(",", ":")).encode()
            yield raw_output(source, source.raw_id(item, body), source.raw_key(item, body), body, {})
