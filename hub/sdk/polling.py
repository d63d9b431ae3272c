"""Polling sources: we ask the system. A page and the cursor behind it commit in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Generic

from hub.events.ids import derive
from hub.sdk.changes import Changes
from hub.sdk.connector import C, R, Source
from hub.sdk.paging import Window
from hub.sdk.webhook import lookup


@dataclass(frozen=True, slots=True)
class Page:
    """Items as the source gave them, and where to go on. `more` asks for the next page at once.

    All of a page is one transaction: ask the system for pages of some megabytes at most.
    """

    items: Sequence[dict[str, Any]]
    next: str
    more: bool = False


class PollingSource(Source[C, R], Generic[C, R]):
    """A source that the hub asks every `every`, counted from the end of the round before, whoever ran that.

    `fetch` gets the cursor that was committed last (None at the very first time) and returns a page. It runs on
    the event loop of the worker that holds the instance, one call at a time, and is cancelled when the instance
    moves to another worker. The page's items and its cursor are committed in one transaction, so neither skip
    nor repeat. If `fetch` raises `Retry`, the same cursor is asked for again after `after` seconds, an hour at most,
    or after a pause that grows from 1 s to 5 min; after `Stop` the instance halts until a person resumes it;
    anything else is treated as `Retry` and told by its type. A page may repeat what earlier pages held: facts are
    told apart by their key.

    `hub.sdk.paging` has the usual ways through a list; for a search by time there is `SearchSource`.
    """

    kind = "polling"
    every: ClassVar[timedelta] = timedelta(minutes=5)
    patience: ClassVar[timedelta] = timedelta(minutes=1)
    """How long one `fetch` may take; then it is cancelled, and the same cursor asked for again later."""

    async def fetch(self, cursor: str | None) -> Page:
        """One page. Must be safe to call again with the same cursor."""
        raise NotImplementedError

    def raw_id(self, item: dict[str, Any], body: bytes) -> str:
        """The id of the raw record of an item: same item in the same state, same id."""
        return derive(self.instance.source, self.name, body.decode())

    def raw_key(self, item: dict[str, Any], body: bytes) -> str:
        """The Kafka key of the raw record: the entity."""
        return lookup(item, self.key_field) or self.raw_id(item, body)


class SearchSource(PollingSource[C, R], Generic[C, R]):
    """A poller of a search by time, for systems whose pages move and whose index lags behind.

    Every round reads a closed window of time, page by page, and reaches back `overlap` behind the last one; the
    very first reaches back `lookback`. What did not change since it was passed on is dropped, by the item's
    `id_field` and all of its content but the top-level fields `ignoring`. So the overlap may be generous, up to a day
    less than the hub recognises repeats for (`dedup_window_days`): a new worker does not know what was passed on.
    """

    id_field: ClassVar[str]
    ignoring: ClassVar[tuple[str, ...]] = ()
    overlap_setting: ClassVar[str] = ""
    """The setting that says how many hours `overlap` has; without one it is an hour."""

    _changes: Changes | None = None

    @property
    def lookback(self) -> timedelta:
        """How far back the very first round looks; most connectors take it from their config."""
        return timedelta(days=7)

    @property
    def overlap(self) -> timedelta:
        """How far each round reaches back behind the last one: the longest that the index lags behind."""
        return timedelta(hours=getattr(self.config, self.overlap_setting) if self.overlap_setting else 1)

    async def search(self, window: Window) -> tuple[Sequence[dict[str, Any]], bool]:
        """The items of page `window.page` of what happened in [`start`, `end`), and whether there are more.

        Raise as in `fetch`. A page past the end is no error: return no items and False.
        """
        raise NotImplementedError

    async def fetch(self, cursor: str | None) -> Page:
        """One page of the present round, or the first page of a new one."""
        changes = self._changes = self._changes or Changes(ignoring=self.ignoring)
        changes.resume(cursor)
        window = Window.current(cursor, self.clock.now(), self.lookback, self.overlap)
        found, more = await self.search(window)
        following = window.following(more)
        items = changes.select(found, self.id_field)
        changes.offer(cursor, following)
        return Page(items, next=following, more=more)
