"""FastStream: a subscriber in batches, one publish per output, since a batch of those shares its headers."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop
from faststream import AckPolicy
from faststream.confluent import KafkaBroker

from benchmarks.peers.meter import Meter, Task, task_from_command_line
from benchmarks.work import work

_BATCH = 5_000


async def untouched(message: Any) -> Any:
    """Decoding is the job's own."""
    return message.raw_message


async def run(task: Task) -> None:
    """Until all is read, sent and committed."""
    meter, done = Meter(task), asyncio.Event()
    broker = KafkaBroker(
        task.servers,
        apply_types=False,  # nothing to inject or convert
        id_generator=str,  # an empty correlation id, which adds no header
        logger=None,
        config={
            "linger.ms": 20,
            "batch.size": 1 << 20,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 500_000,
        },
    )

    @broker.subscriber(  # type: ignore[untyped-decorator]  # not in the environment that is checked
        task.source,
        group_id=task.target,
        batch=True,
        max_records=min(_BATCH, task.warm),
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.NACK_ON_ERROR,
        decoder=untouched,
    )
    async def route(messages: Any) -> None:
        meter.begin(len(messages))
        sent = []
        for message in messages:
            made = work(message.key(), message.value(), message.headers())
            if made is not None:
                key, value, headers = made
                texts = {name: text.decode() for name, text in headers}
                sent.append(await broker.publish(value, task.target, key=key, headers=texts, no_confirm=True))
        await asyncio.gather(*sent)
        if meter.all_read:
            done.set()

    async with broker:
        await broker.start()
        await done.wait()
        meter.report()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(run(task_from_command_line()))
