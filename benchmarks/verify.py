"""Are two outputs the same? Every committed record by key, value and headers, whatever their order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import msgspec

from benchmarks import parallel, work
from hub.stream.reading import read_all

_MODULUS = 1 << 128


@dataclass(frozen=True, slots=True)
class Contents:
    """How many records, and the sum of their digests: equal for equal sets, repeats included."""

    records: int
    digest: int

    def __add__(self, other: Contents) -> Contents:
        return Contents(self.records + other.records, (self.digest + other.digest) % _MODULUS)


def output(servers: str, topic: str) -> Contents:
    """What a reader of committed records finds."""
    return _of_all_partitions(_output, servers, topic)


def expected(servers: str, source: str) -> Contents:
    """What the job in plain Python makes of the source."""
    return _of_all_partitions(_expected, servers, source)


def _of_all_partitions(count: Callable[[str, str, int], Contents], servers: str, topic: str) -> Contents:
    calls = [(servers, topic, partition) for partition in range(work.PARTITIONS)]
    return sum(parallel.each(count, calls), Contents(0, 0))


def _output(servers: str, topic: str, partition: int) -> Contents:
    return _sum(_records(servers, topic, partition))


def _expected(servers: str, topic: str, partition: int) -> Contents:
    made = (work.work(*record) for record in _records(servers, topic, partition))
    return _sum(one for one in made if one is not None)


def _records(servers: str, topic: str, partition: int) -> Iterator[work.Result]:
    for message in read_all(servers, topic, partition):
        yield message.key(), message.value(), message.headers()


def _sum(records: Iterable[work.Result]) -> Contents:
    count = total = 0
    for key, value, headers in records:
        # FastStream has an order of headers of its own, which says nothing: their names are unique.
        whole = msgspec.msgpack.encode((key, value, sorted(headers)))
        total += int.from_bytes(hashlib.blake2b(whole, digest_size=16).digest(), "big")
        count += 1
    return Contents(count, total % _MODULUS)
