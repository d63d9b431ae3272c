"""A loop by hand: librdkafka and fastavro, nothing between. Also the byte copy, where the work is left out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confluent_kafka import Consumer, Producer

from benchmarks import fill
from benchmarks.peers.meter import Meter, Task, task_from_command_line
from benchmarks.work import Result, work

_BATCH = 10_000
_COMMIT_EVERY = 100_000  # records, where each batch is not a transaction
_TIME_LIMIT = 30.0

Work = Callable[[bytes, bytes, Any], Result | None]


def consumer_settings(task: Task) -> dict[str, object]:
    """Of every librdkafka consumer here."""
    return {
        "bootstrap.servers": task.servers,
        "group.id": task.target,  # a new one for every run
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "queued.max.messages.kbytes": 65_536,
        "fetch.message.max.bytes": 4 << 20,
    }


def run(task: Task, do: Work) -> None:
    """Read, do, write until all is read; then all is flushed and committed."""
    consumer = Consumer(consumer_settings(task))
    consumer.subscribe([task.source])
    settings = fill.producer_settings(task.servers)
    if task.exactly_once:
        settings |= {"transactional.id": task.target, "linger.ms": 5}
    producer = Producer(settings)
    if task.exactly_once:
        producer.init_transactions(_TIME_LIMIT)
    meter, committed = Meter(task), 0
    while not meter.all_read:
        messages = consumer.consume(min(_BATCH, task.total - meter.read), timeout=1.0)
        if not messages:
            continue
        meter.begin(len(messages))
        if task.exactly_once:
            producer.begin_transaction()
        for message in messages:
            made = do(message.key(), message.value(), message.headers())
            if made is not None:
                fill.produce(producer, task.target, made)
        if task.exactly_once:
            positions = consumer.position(consumer.assignment())
            metadata = consumer.consumer_group_metadata()
            producer.send_offsets_to_transaction(positions, metadata, _TIME_LIMIT)
            producer.commit_transaction(_TIME_LIMIT)
        elif meter.read - committed >= _COMMIT_EVERY or meter.all_read:
            producer.flush()
            consumer.commit(asynchronous=False)
            committed = meter.read
        else:
            producer.poll(0)
    meter.report()
    consumer.close()


if __name__ == "__main__":
    run(task_from_command_line(), work)
