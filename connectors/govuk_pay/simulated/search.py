"""The simulated searches: an index that lags behind the account, in numbered pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Any
from urllib.parse import urlencode

from connectors.govuk_pay.simulated.ledger import Payment, Refund
from connectors.govuk_pay.simulated.rules import ApiError, checked_search

_CARD_FIELDS = ("card_brand", "cardholder_name", "first_digits_card_number", "last_digits_card_number")


def indexed(entries: Iterable[Payment | Refund], now: datetime, lag: timedelta) -> list[dict[str, Any]]:
    """Everything as the index knows it: how it stood `lag` ago. Newest first."""
    found = []
    for entry in entries:
        known = [shown for at, shown in list(entry.seen_by_search) if at <= now - lag]
        if known:
            found.append(known[-1])
    return sorted(found, key=lambda shown: str(shown["created_date"]), reverse=True)


def matching(found: list[dict[str, Any]], query: Mapping[str, str]) -> list[dict[str, Any]]:
    """Those that a search asks for; parameters are known to be well-formed."""
    return [shown for shown in found if _matches(shown, query)]


def paged(
    found: list[dict[str, Any]], query: Mapping[str, str], base: str, codes: tuple[str, str]
) -> dict[str, Any]:
    """One page and its links. `codes`: for bad parameters and for a page past the end. Raises ApiError."""
    page, size = checked_search(query, codes[0])
    last = max(1, ceil(len(found) / size))
    if page > last:
        raise ApiError(404, codes[1], "Page not found")
    results = found[(page - 1) * size : page * size]
    links = {"self": page, "first_page": 1, "last_page": last}
    links |= {"prev_page": page - 1} if page > 1 else {}
    links |= {"next_page": page + 1} if page < last else {}
    return {
        "total": len(found),
        "count": len(results),
        "page": page,
        "results": results,
        "_links": {
            name: {"href": f"{base}?{urlencode({**query, 'page': number, 'display_size': size})}"}
            for name, number in links.items()
        },
    }


def _matches(shown: dict[str, Any], query: Mapping[str, str]) -> bool:
    created = datetime.fromisoformat(shown["created_date"])
    if "from_date" in query and created < datetime.fromisoformat(query["from_date"]):
        return False
    if "to_date" in query and created >= datetime.fromisoformat(query["to_date"]):
        return False
    if "from_settled_date" in query or "to_settled_date" in query:
        return False  # the sandbox never pays out
    card = shown.get("card_details", {})
    return (
        query.get("reference", shown.get("reference", "")).lower() == shown.get("reference", "").lower()
        and query.get("email", "").lower() in (shown.get("email") or "").lower()
        and query.get("agreement_id", shown.get("agreement_id")) == shown.get("agreement_id")
        and ("state" not in query or query["state"] == shown.get("state", {}).get("status"))
        and all(query.get(name, "").lower() in card.get(name, "").lower() for name in _CARD_FIELDS)
    )
