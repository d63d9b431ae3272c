"""Reconciling with GOV.UK Pay's searches: every round reads a closed window of time, page by page."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic

from connectors.govuk_pay.config import Config
from hub.sdk import ApiKey, Http, Policy, Refused, Retry, SearchSource, Stop, Window, next_link
from hub.sdk.connector import R

_PAST_THE_END = frozenset({"P0402", "P1100"})


class Search(SearchSource[Config, R], Generic[R]):
    """Base of the two searches, whose index lags behind."""

    path: ClassVar[str]
    ignoring = ("_links",)
    overlap_setting = "overlap_hours"

    @property
    def lookback(self) -> timedelta:
        """As configured."""
        return timedelta(hours=self.config.lookback_hours)

    def open_http(self) -> Http:
        """The public API."""
        policy = Policy(timeout_s=self.config.timeout_seconds)
        return Http(self.config.base_url, auth=ApiKey(self.config.api_key), policy=policy)

    async def search(self, window: Window) -> tuple[list[dict[str, Any]], bool]:
        """The results of a page, and whether there is another."""
        try:
            answer = await self.http.get_json(
                self.path,
                from_date=_stamp(window.start),
                to_date=_stamp(window.end),
                page=window.page,
                display_size=self.config.page_size,
            )
        except Refused as refused:
            if refused.status == 404 and refused.says("code") in _PAST_THE_END:
                return [], False
            raise Stop(f"{refused.reason}: not a search of GOV.UK Pay, check base_url") from None
        if not isinstance(answer, dict) or not isinstance(answer.get("results"), list):
            raise Retry(f"GET {self.path}: the answer is not a page of results")
        # Pay leaves `next_page` out at the end; samples in its documentation show it empty.
        # What is no object cannot be read as a payment either: translation sets it aside by name.
        results = [item if isinstance(item, dict) else {"": item} for item in answer["results"]]
        return results, bool(results) and bool(next_link(answer, "_links.next_page"))


def _stamp(moment: datetime) -> str:
    """Whole seconds, in the form that the searches take."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
