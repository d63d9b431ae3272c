"""Polling sources: we ask the system. A page and the cursor behind it commit in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Generic

from hub.events.ids import derive
from hub.sdk.connector import C, R, Source
from hub.sdk.webhook import lookup


@dataclass(frozen=True, slots=True)
class Page:
    """Items as the source gave them, and where to go on. `more` asks for the next page at once."""

    items: Sequence[dict[str, Any]]
    next: str
    more: bool = False


class PollingSource(Source[C, R], Generic[C, R]):
    """A source that the hub asks every `every`.

    `fetch` gets the cursor that was committed last (None at the very first time) and returns a page; it runs
    on the worker that holds the instance, one call at a time. If it raises `Retry`, the same cursor is asked
    for again later; after `Stop` the instance halts until a person resumes it. A page may repeat what earlier
    pages held: facts are told apart by their key.
    """

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
