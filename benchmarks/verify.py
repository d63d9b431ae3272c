"""Are two outputs the same? Every committed record by key, value and headers, whatever their order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks import work
from hub.stream.reading import read_all


@dataclass(frozen=True, slots=True)
class Contents:
    """How many records, and the sum of their digests: equal for equal sets, repeats included."""

    records: int
    digest: str


def output(servers: str, topic: str, partitions: Sequence[int]) -> Contents:
    """What a reader of committed records finds."""
    return _sum(_records(servers, topic, partitions))


def expected(servers: str, source: str, partitions: Sequence[int]) -> Contents:
    """What the job in plain Python makes of the source."""
    made = (work.work(*record) for record in _records(servers, source, partitions))
    return _sum(one for one in made if one is not None)


def _records(servers: str, topic: str, partitions: Sequence[int]) -> Iterator[work.Result]:
    for partition in partitions:
        for message in read_all(servers, topic, partition):
            yield message.key(), message.value(), message.headers()


def _sum(records: Iterable[work.Result]) -> Contents:
    count = total = 0
    for key, value, headers in records:
        digest = hashlib.blake2b(key, digest_size=16)
        digest.update(b"\0" + value)
        for name, text in headers:
            digest.update(b"\0" + name.encode() + b"\0" + text)
        total += int.from_bytes(digest.digest(), "big")
        count += 1
    return Contents(count, f"{total % (1 << 128):032x}")
