"""hub.journal and dead-letters → the journal: the read model that people search."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import structlog

from hub.delivery.dead_letter import DeadLetter
from hub.journal.entry import Entry
from hub.journal.store import Journal
from hub.stream import topics
from hub.stream.records import Batch, Output

log = structlog.get_logger()

_decode = msgspec.json.Decoder(Entry).decode


class Journalling:
    """The journal stage: idempotent, so that reading a batch twice changes nothing."""

    name = "journal"

    def __init__(self, path: Path) -> None:
        self._journal = Journal.open(path)

    def process(self, batch: Batch) -> list[Output]:
        """Write a batch to the journal; nothing goes back to Kafka."""
        if batch.topic == topics.DEAD_LETTERS:
            self._journal.apply_dead_letters(
                [
                    (DeadLetter.from_headers(record.headers), (batch.topic, batch.partition, record.offset))
                    for record in batch.records
                ]
            )
        else:
            self._journal.apply([_decode(record.value or b"") for record in batch.records])
        return []

    def forget(self, batches: Iterable[Batch]) -> None:
        """Nothing to forget: what was written may be written again."""
