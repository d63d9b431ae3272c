"""Topics and groups of the benchmark: made anew for every run, so that no run pays for the one before."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

_TIME_LIMIT = 30.0


def make(servers: str, names: Sequence[str], partitions: int) -> None:
    """Empty topics of these names; what was in them is gone."""
    admin = _admin(servers)
    _delete(admin, names)
    settings = {"retention.ms": "-1", "retention.bytes": "-1"}
    deadline = time.monotonic() + _TIME_LIMIT
    wanted = list(names)
    while wanted:
        made = admin.create_topics([NewTopic(name, partitions, 1, config=settings) for name in wanted])
        wanted = []
        for name, future in made.items():
            try:
                future.result(_TIME_LIMIT)
            except KafkaException as error:  # the old one is still on its way out
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS or time.monotonic() > deadline:
                    raise
                wanted.append(name)
                time.sleep(0.1)
    while not _led(admin, names, partitions):  # made is not yet there
        if time.monotonic() > deadline:
            raise TimeoutError(f"{names[0]} and what was made with it have no leaders")
        time.sleep(0.05)


def _led(admin: AdminClient, names: Sequence[str], partitions: int) -> bool:
    topics = admin.list_topics(timeout=_TIME_LIMIT).topics
    return all(
        name in topics
        and len(topics[name].partitions) == partitions
        and all(part.leader >= 0 for part in topics[name].partitions.values())
        for name in names
    )


def forget_group(servers: str, group: str) -> None:
    """The next run of this group starts at the beginning. Waits until its last member has left."""
    admin = _admin(servers)
    deadline = time.monotonic() + _TIME_LIMIT
    while True:
        try:
            admin.delete_consumer_groups([group])[group].result(_TIME_LIMIT)
            return
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def delete(servers: str, names: Sequence[str]) -> None:
    """Give the disk back."""
    _delete(_admin(servers), names)


def _admin(servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": servers, "log_level": 3})


def _delete(admin: AdminClient, names: Sequence[str]) -> None:
    there = set(admin.list_topics(timeout=_TIME_LIMIT).topics)
    doomed = [name for name in names if name in there]
    if doomed:
        for future in admin.delete_topics(doomed).values():
            with suppress(KafkaException):
                future.result(_TIME_LIMIT)
