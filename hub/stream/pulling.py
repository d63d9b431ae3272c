"""Which work each pulled source and each export sink of the fleet is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.sdk.connector import Connector
from hub.sdk.files import FileDropSource, RegisterSource
from hub.sdk.fleet import Fleet
from hub.sdk.mailbox import MailboxSource
from hub.sdk.polling import PollingSource
from hub.sdk.sinks import ExportSink
from hub.stream.exporting import Exporting
from hub.stream.filing import Filing
from hub.stream.instances import Work, partition_of
from hub.stream.mailing import Mailing
from hub.stream.polling import Polling
from hub.stream.reading import KafkaLog, Log
from hub.stream.register_cache import RegisterCache
from hub.stream.registers import Registering
from hub.stream.spool import Spool


def works(fleet: Fleet, servers: str, partitions: int, folder: Path) -> dict[str, Work]:
    """By key, `<instance>/<source>`. `folder` is this worker's own, for what can be fetched again."""
    made, log = {}, KafkaLog(servers)
    for member in fleet.members.values():
        for source in dict.fromkeys((*member.sources, *member.sinks)):
            work = work_of(source, log, partition_of(source.key, partitions), folder)
            if work is not None:
                made[source.key] = work
    return made


def work_of(source: Connector[Any], log: Log, partition: int, folder: Path) -> Work | None:
    """The work of a source or sink; None for one whose turn is never its own. Arguments as for `works`."""
    if isinstance(source, PollingSource):
        return Polling(source)
    if isinstance(source, MailboxSource):
        return Mailing(source)
    if isinstance(source, ExportSink):
        return Exporting(source, RegisterCache(log, folder / "registers", source.key, partition))
    if isinstance(source, RegisterSource):
        cache = RegisterCache(log, folder / "registers", source.key, partition)
        return Registering(source, Spool(folder / "spool", source.key), cache)
    if isinstance(source, FileDropSource):
        return Filing(source, Spool(folder / "spool", source.key))
    return None
