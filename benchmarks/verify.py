"""Are two outputs the same? Every committed record by key, value and headers, whatever their order."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import msgspec

from benchmarks import work
from benchmarks.parallel import Crew
from hub.stream.reading import read_all

_MODULUS = 1 << 128


@dataclass(frozen=True, slots=True)
class Contents:
    """How many records, and the sum of their digests: equal for equal sets, repeats included."""

    records: int = 0
    digest: int = 0

    @classmethod
    def of(cls, records: Iterable[work.Result]) -> Self:
        """Count and sum up."""
        count = total = 0
        for key, value, headers in records:
            # FastStream has an order of headers of its own, which says nothing: their names are unique.
            whole = msgspec.msgpack.encode((key, value, sorted(headers)))
            total += int.from_bytes(hashlib.blake2b(whole, digest_size=16).digest(), "big")
            count += 1
        return cls(count, total % _MODULUS)

    def __add__(self, other: Contents) -> Contents:
        return Contents(self.records + other.records, (self.digest + other.digest) % _MODULUS)


def contents(servers: str, topic: str, crew: Crew) -> Contents:
    """What a reader of committed records finds."""
    calls = [(servers, topic, partition) for partition in range(work.PARTITIONS)]
    return sum(crew.each(_contents, calls), Contents())


def _contents(servers: str, topic: str, partition: int) -> Contents:
    return Contents.of(_records(servers, topic, partition))


def _records(servers: str, topic: str, partition: int) -> Iterator[work.Result]:
    for message in read_all(servers, topic, partition):
        yield message.key(), message.value(), message.headers()
