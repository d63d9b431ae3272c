"""Pollers that look at the same things again and again pass on only what changed."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any


class Changes:
    """Remembers, in memory and for up to `limit` items, what was passed on already.

    A page counts as passed on only when the hub comes back with the cursor that the page gave: before that,
    its transaction may have failed, and then the same items must be given again. A restart, or a cursor that
    someone set back, forgets everything, which costs repeats and never a loss.
    """

    def __init__(self, limit: int = 50_000, ignoring: Iterable[str] = ()) -> None:
        self._limit = limit
        self._ignoring = frozenset(ignoring)
        self._passed: OrderedDict[str, bytes] = OrderedDict()
        self._pending: dict[str, bytes] = {}
        self._pending_next: str | None = None
        self._asked: str | None = None

    def resume(self, cursor: str | None) -> None:
        """To be called first in `fetch`: settles whether the last page was committed."""
        if cursor is not None and cursor == self._pending_next:
            self._passed.update(self._pending)
            while len(self._passed) > self._limit:
                self._passed.popitem(last=False)
        elif cursor != self._asked:
            self._passed.clear()
        self._pending, self._pending_next, self._asked = {}, None, cursor

    def select(self, items: Iterable[dict[str, Any]], key: str) -> list[dict[str, Any]]:
        """Those of `items` that are new or differ from what was passed on; `key` is the field of their id."""
        chosen = []
        for item in items:
            name, digest = str(item.get(key)), self._digest(item)
            if self._passed.get(name) != digest:
                chosen.append(item)
                self._pending[name] = digest
            else:
                self._passed.move_to_end(name)
        return chosen

    def offer(self, cursor: str | None, following: str) -> None:
        """The page behind `cursor` is being returned, with `following` as its next cursor."""
        # A cursor that does not move cannot tell "committed" from "asked again": then nothing is remembered.
        self._pending_next = following if following != cursor else None

    def _digest(self, item: dict[str, Any]) -> bytes:
        told = {name: value for name, value in item.items() if name not in self._ignoring}
        return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).digest()
