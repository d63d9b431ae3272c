"""What an export sink does in a round: hand over the whole register, if it differs from the last one or that is old."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from time import time
from typing import Any

import msgspec

from hub.events.ids import derive
from hub.sdk.sink import OutcomeSink, Receipt
from hub.sdk.sinks import ExportSink
from hub.sdk.webhook import lookup
from hub.stream.instances import Desk, remaining
from hub.stream.off_loop import off_loop
from hub.stream.raw import raw_output
from hub.stream.records import Output
from hub.stream.register_cache import RegisterCache

_PORTION = 1_000

#: How long until an export that is due looks again whether anything changed, seconds.
_LOOK_S = 5.0


class Exported(msgspec.Struct, frozen=True):
    """The cursor: what was handed over last, and when (epoch seconds)."""

    digest: str = ""
    at: float = 0.0


class Exporting:
    """The work of an export sink. Entries come from the sink stage, through `hub.registers`."""

    def __init__(self, sink: ExportSink[Any], cache: RegisterCache) -> None:
        self.connector = sink
        self._cache = cache
        self._last = Exported()
        self._seen, self._since = "", 0.0

    @property
    def patience(self) -> float:
        """As the sink says, for each portion of rows and for the end."""
        return self.connector.patience.total_seconds()

    async def begin(self, desk: Desk) -> float:
        """Know what was handed over, and the register as it stands."""
        self._last = msgspec.json.decode(desk.state.cursor or "{}", type=Exported)
        await off_loop(self._cache.open, self._cache.abandon)
        return remaining(self._every, self._last.at)

    async def round(self, desk: Desk) -> float:
        """Hand it over, if there is something new."""
        every = self._every
        await off_loop(self._cache.catch_up, self._cache.abandon)
        digest = await off_loop(self._cache.digest, self._cache.abandon)
        if digest == self._last.digest and not self._overdue:
            self._seen = ""
            return min(every, _LOOK_S)
        rest = min(every, self.connector.settled_after.total_seconds())
        if rest > 0 and not self._settled(digest, every):
            return rest
        receipt = await self.connector.export(self._rows(desk), self.connector.clock.now())
        exported = Exported(digest, time())
        await desk.commit(self._outputs(receipt, exported), msgspec.json.encode(exported).decode())
        self._last = exported
        return every

    @property
    def _every(self) -> float:
        return self.connector.instance.interval(self.connector.every)

    @property
    def _overdue(self) -> bool:
        """Whether what was handed over is to be handed over again, changed or not."""
        return 0 < self._last.at <= time() - self.connector.at_least_every.total_seconds()

    def _settled(self, digest: str, every: float) -> bool:
        """Whether the register is as it was at the last look, or has been changing for too long to wait more."""
        now = time()
        if not self._seen:
            self._since = now
        unchanged, self._seen = digest == self._seen, digest
        return unchanged or now - self._since >= every

    async def end(self) -> None:
        """Close the copy."""
        self._cache.close()

    async def _rows(self, desk: Desk) -> AsyncIterator[Mapping[str, Any]]:
        last = ""
        while portion := await self._after(last):
            for key, row in portion:
                yield msgspec.json.decode(row)
                last = key
            desk.progress()

    async def _after(self, key: str) -> list[tuple[str, bytes]]:
        return await off_loop(lambda: self._cache.after(key, _PORTION))

    def _outputs(self, receipt: Receipt, exported: Exported) -> list[Output]:
        sink = self.connector
        if not isinstance(sink, OutcomeSink) or receipt.outcome is None:
            return []
        raw_id = derive(sink.instance.source, sink.name, exported.digest, str(exported.at))
        key = lookup(receipt.outcome, sink.key_field) or raw_id
        return [raw_output(sink, raw_id, key, msgspec.json.encode(receipt.outcome), {})]
