"""Files put through a register source as a worker does, from the first: what each row ends as."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hub.sdk import Fact, Instance, RegisterSource, Reject
from hub.testing.in_memory import InMemory, drive

#: When the files were left: noon of 2 March 2026, epoch seconds.
WRITTEN = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class End:
    """What one raw record ended as: facts, or a refusal; neither where there was nothing to tell."""

    file: str
    line: str
    facts: tuple[Fact, ...] = ()
    refused: str = ""
    field: str = ""

    def __str__(self) -> str:
        told = ", ".join(fact.data.type.removeprefix("licensing.") for fact in self.facts)
        return told or (f"set aside: {self.refused}" if self.refused else "nothing to tell")


def source_over(
    connector: type[RegisterSource[Any, Any]], folder: Path, **settings: str
) -> RegisterSource[Any, Any]:
    """A source that takes files from `folder` at once."""
    config: Any = connector.config_model
    name = connector.__module__.split(".")[1]
    source = connector(
        Instance("birmingham", name, "E08000025"),
        config(_env_prefix="HUB_TEST_", folder=str(folder), **settings),
    )
    source.settled_after = timedelta()  # type: ignore[misc] - of this object alone
    return source


async def through(source: RegisterSource[Any, Any], files: Iterable[Path], tmp_path: Path) -> list[End]:
    """What the rows of `files`, one register after the other, end as."""
    memory, ends = InMemory(), list[End]()
    for path in files:
        copy = Path(source.config.folder) / path.name
        shutil.copy(path, copy)
        os.utime(copy, (WRITTEN, WRITTEN))
        before = len(memory.landed(source))
        await drive(source, memory, tmp_path / "worker")
        ends += [_end(source, path.name, raw) for raw in memory.landed(source)[before:]]
    return ends


def _end(source: RegisterSource[Any, Any], file: str, raw: Any) -> End:
    line = raw.attributes.get("line", "")
    try:
        return End(file, line, tuple(source.translate(raw.body, raw.attributes)))
    except Reject as reject:
        return End(file, line, refused=reject.reason, field=reject.field)
