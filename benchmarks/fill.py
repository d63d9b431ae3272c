"""Made-up events into Kafka: the same in every run, about 310 bytes and 12 headers each."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from typing import Any

from confluent_kafka import Producer
from fastavro import schemaless_writer

from benchmarks import work
from benchmarks.parallel import Crew
from benchmarks.verify import Contents

COUNCILS = [f"E0{number}" for number in range(6000001, 6000021)]
_NAMES = [
    "Sherlock Holmes",
    "Mary Morstan",
    "Irene Adler",
    "Jabez Wilson",
    "Violet Hunter",
    "Neville St Clair",
]
_POSTCODES = ["NW1 6XE", "SW1A 2AA", "B1 1BB", "M1 1AE", "CF10 1EP", "EC1A 1BB", "L1 8JQ"]
_STARTED = 1_790_000_000_000_000  # microseconds since 1970
_PART = 60_000  # events that one call writes at most

Record = tuple[bytes, bytes, work.Headers]


def events(start: int, stop: int, councils: Sequence[str] = COUNCILS) -> Iterator[Record]:
    """Key, value and headers of the events numbered from `start` to before `stop`, spread over `councils`.

    The headers are as `hub.events.kafka.to_headers` makes them (a test compares), written out for speed.
    """
    draw = random.Random(start)  # noqa: S311 - nothing is secret here
    prefix = b"\0" + work.INPUT_ID.to_bytes(4, "big")
    schema = f"/schemas/ids/{work.INPUT_ID}".encode()
    kind = work.INPUT_TYPE.encode()
    for number in range(start, stop):
        event = _event(draw, number, councils)
        out = BytesIO()
        out.write(prefix)
        schemaless_writer(out, work.INPUT, event)
        council = event["council"]
        subject = f"{council}-{number % 1000}".encode()
        yield (
            subject,
            out.getvalue(),
            [
                ("ce_specversion", b"1.0"),
                ("ce_id", event["event_id"].encode()),
                ("ce_source", event["source"].encode()),
                ("ce_type", kind),
                ("ce_subject", subject),
                ("ce_time", _time(number)),
                ("ce_party", council.encode()),
                ("ce_correlationid", b"CASE-%06d" % (number % 100_000)),
                ("ce_causationid", b"%032x" % draw.getrandbits(128)),
                ("ce_traceparent", b"00-%032x-%016x-01" % (draw.getrandbits(128), draw.getrandbits(64))),
                ("ce_dataschema", schema),
                ("content-type", b"application/avro"),
            ],
        )


def _time(number: int) -> bytes:
    """One event in each millisecond."""
    whole, milliseconds = divmod(_STARTED // 1000 + number, 1000)
    second = _second(whole)
    return b"%s.%03d000Z" % (second, milliseconds) if milliseconds else second + b"Z"


@lru_cache(maxsize=2)
def _second(whole: int) -> bytes:
    return datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()


def _event(draw: random.Random, number: int, councils: Sequence[str]) -> dict[str, Any]:
    bits = draw.getrandbits(64)
    metadata = {"internal_reference_number": str(bits % 1000), "channel": "online"}
    if bits % 5:
        metadata["ledger_code"] = f"AB{bits % 400}"
    id_ = f"{draw.getrandbits(128):032x}"
    return {
        "event_id": f"{id_[:8]}-{id_[8:12]}-{id_[12:16]}-{id_[16:20]}-{id_[20:]}",
        "occurred_at": _STARTED + number * 1000,
        "source": "/connectors/govuk-pay/benchmark",
        "council": councils[bits % len(councils)],
        "payment_id": f"{draw.getrandbits(104):026x}",
        "reference": f"LIC-{number:08}",
        "amount": 100 + bits % 50_000,
        "currency": "GBP",
        "description": None if bits % 7 == 0 else "Premises licence annual fee",
        "payer": {
            "name": _NAMES[bits % 6],
            "email": None if bits % 4 == 0 else f"payer.{bits % 10_000}@example.com",
            "postcode": _POSTCODES[bits % 7],
            "uprn": None if bits % 11 == 0 else str(100_000_000_000 + bits % 899_999_999),
        },
        "service": "premises-licence",
        "state": "success" if bits % 10 else "failed",
        "metadata": metadata,
    }


def fill(
    servers: str, sources: Mapping[str, int], crew: Crew, councils: Sequence[str] = COUNCILS
) -> dict[str, Contents]:
    """Write to each topic, which must be there, so many events; what the job must make of them."""
    calls = []
    for topic, count in sources.items():
        parts = -(-count // _PART)
        bounds = [count * part // parts for part in range(parts + 1)]
        calls += [(servers, topic, start, stop, councils) for start, stop in pairwise(bounds)]
    wanted = dict.fromkeys(sources, Contents())
    for (_, topic, *_), made in zip(calls, crew.each(_write, calls), strict=True):
        wanted[topic] += made
    return wanted


def _write(servers: str, topic: str, start: int, stop: int, councils: Sequence[str]) -> Contents:
    producer = Producer(producer_settings(servers))
    wanted = Contents.of(_made(_written(producer, topic, events(start, stop, councils))))
    producer.flush()
    return wanted


def _written(producer: Producer, topic: str, records: Iterable[Record]) -> Iterator[Record]:
    for count, record in enumerate(records):
        produce(producer, topic, record)
        if count % 5000 == 0:
            producer.poll(0)
        yield record


def _made(records: Iterable[Record]) -> Iterator[work.Result]:
    made = (work.work(*record) for record in records)
    return (one for one in made if one is not None)


def producer_settings(servers: str) -> dict[str, object]:
    """Of every librdkafka producer here: what is good for throughput and loses nothing."""
    return {
        "bootstrap.servers": servers,
        "log_level": 3,  # errors; a new broker's coordinators are not there at once, which is no news
        "linger.ms": 20,
        "batch.size": 1 << 20,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",  # as the JVM's, so that a key's outputs are where all peers put them
        "enable.idempotence": True,
        "queue.buffering.max.messages": 500_000,
        "queue.buffering.max.kbytes": 1 << 19,
    }


def produce(producer: Producer, topic: str, record: Record) -> None:
    """Hand one record to librdkafka, waiting while its buffer is full."""
    key, value, headers = record
    while True:
        try:
            producer.produce(topic, value, key, headers=headers)
            return
        except BufferError:
            producer.poll(0.1)
