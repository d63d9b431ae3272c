"""Quix Streams: a dataframe of bytes from topic to topic, its own checkpoints."""

from __future__ import annotations

import logging

from quixstreams import Application

from benchmarks import work
from benchmarks.peers.meter import Meter, Task, task_from_command_line

_COMMIT_EVERY = 100_000  # records


def run(task: Task) -> None:
    """Until all is read, sent and committed."""
    meter = Meter(task)

    def processed(topic: str, partition: int, offset: int) -> None:
        meter.begin(1)
        if meter.all_read:
            app.stop()

    app = Application(
        broker_address=task.servers,
        consumer_group=task.target,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once" if task.exactly_once else "at-least-once",
        commit_every=_COMMIT_EVERY,
        auto_create_topics=False,
        on_message_processed=processed,
        loglevel=logging.WARNING,
        consumer_extra_config={"queued.max.messages.kbytes": 65_536, "fetch.message.max.bytes": 4 << 20},
        producer_extra_config={
            "linger.ms": 20,
            "batch.size": 1 << 20,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 500_000,
            "queue.buffering.max.kbytes": 1 << 19,
        },
    )
    as_they_are = {"key_deserializer": "bytes", "value_deserializer": "bytes"}
    source = app.topic(task.source, **as_they_are)
    target = app.topic(task.target, key_serializer="bytes", value_serializer="bytes")
    frame = app.dataframe(source)
    frame = frame.apply(work.new_value).filter(lambda value: value is not None)
    frame = frame.set_headers(lambda value, key, timestamp, headers: work.new_headers(headers))
    frame.to_topic(target)
    app.run()
    meter.report()


if __name__ == "__main__":
    run(task_from_command_line())
