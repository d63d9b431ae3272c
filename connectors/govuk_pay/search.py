"""Reconciling with GOV.UK Pay's searches: every round reads a closed window of time, page by page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic

from connectors.govuk_pay.config import Config
from hub.sdk import Changes, Http, Page, PollingSource, Refused, Retry, Stop
from hub.sdk.connector import R

_PAST_THE_END = frozenset({"P0402", "P1100"})


@dataclass(frozen=True, slots=True)
class Window:
    """What one round reads: things created in [start, end), from `page` on. Page 0: the round is over."""

    start: str
    end: str
    page: int

    def text(self) -> str:
        """As a cursor."""
        return json.dumps(asdict(self))


class Search(PollingSource[Config, R], Generic[R]):
    """Base of the two searches.

    A page number means little over a set that grows, and the search index lags behind. So the window's end is
    fixed when a round begins, each round reaches back `overlap_hours` behind the last one, and what did not
    change since is dropped. What slips between two pages is found by the next round.
    """

    path: ClassVar[str]
    id_field: ClassVar[str]

    _http: Http | None = None
    _changes: Changes | None = None

    async def fetch(self, cursor: str | None) -> Page:
        """One page of the current round, or the first page of a new one."""
        changes = self._changes = self._changes or Changes(ignoring=("_links",))
        changes.resume(cursor)
        window = self._window(cursor)
        results, more = await self._search(window)
        following = Window(window.start, window.end, window.page + 1 if more else 0).text()
        items = changes.select(results, self.id_field)
        changes.offer(cursor, following)
        return Page(items, next=following, more=more)

    async def close(self) -> None:
        """Close the connection to Pay."""
        if self._http is not None:
            await self._http.close()

    def _window(self, cursor: str | None) -> Window:
        now = self.clock.now()
        if cursor is None:
            return Window(_stamp(now - timedelta(hours=self.config.lookback_hours)), _stamp(now), 1)
        window = Window(**json.loads(cursor))
        if window.page:
            return window
        start = datetime.fromisoformat(window.end) - timedelta(hours=self.config.overlap_hours)
        return Window(_stamp(start), _stamp(now), 1)

    async def _search(self, window: Window) -> tuple[list[dict[str, Any]], bool]:
        """The results of a page, and whether there is another."""
        self._http = self._http or Http(
            self.config.base_url,
            headers={"Authorization": f"Bearer {self.config.api_key.get_secret_value()}"},
            timeout=self.config.timeout_seconds,
        )
        try:
            answer = await self._http.get_json(
                self.path,
                from_date=window.start,
                to_date=window.end,
                page=window.page,
                display_size=self.config.page_size,
            )
        except Refused as refused:
            if refused.status == 404 and refused.says("code") in _PAST_THE_END:
                return [], False
            raise Stop(f"{refused.reason}: not a search of GOV.UK Pay, check base_url") from None
        if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
            raise Retry(f"GET {self.path}: the answer is not a page of results")
        # What is no object cannot be read as a payment either: translation sets it aside by name.
        results = [item if isinstance(item, dict) else {"": item} for item in answer["results"]]
        return results, bool(results) and _has_next(answer.get("_links"))


def _has_next(links: object) -> bool:
    """Pay leaves `next_page` out at the end; samples in its documentation show it empty."""
    following = links.get("next_page") if isinstance(links, Mapping) else None
    return isinstance(following, Mapping) and bool(following.get("href"))


def _stamp(moment: datetime) -> str:
    """Whole seconds, in the form that the searches take."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
