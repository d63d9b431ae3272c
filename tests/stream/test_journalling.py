"""The journal stage: a backlog takes as long as it takes."""

from __future__ import annotations

from pathlib import Path

from hub.journal.entry import Entry
from hub.stream import topics
from hub.stream.journalling import Journalling
from hub.stream.progress import Progress
from hub.stream.records import NOBODY, Batch, Read
from hub.stream.stage import journal_outputs


def test_whoever_watches_it_sees_that_it_gets_on_within_one_transaction(tmp_path: Path) -> None:
    count = 12_000
    entry = Entry(at=1.0, stage="route", outcome="routed", event_id="")
    ids = {"event_id": [f"event-{number}" for number in range(count)]}
    records = [
        Read(topics.JOURNAL, 0, at, 0, output.key, output.value, [])
        for at, output in enumerate(journal_outputs((topics.JOURNAL, 0), entry, ids))
    ]
    stage, progress = Journalling(tmp_path / "journal.db"), Progress("journal")
    progress.bind()
    stage.process([Batch(topics.JOURNAL, 0, records, NOBODY)])
    assert progress.moves >= 3
