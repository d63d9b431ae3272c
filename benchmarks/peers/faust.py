"""Faust: an agent over events, one at a time, with Faust's own producer, acknowledgements and commits."""

from __future__ import annotations

import asyncio
import tempfile
from typing import Any

import faust
import uvloop

from benchmarks.peers.meter import Meter, Task, task_from_command_line
from benchmarks.work import work

RAW = {"key_serializer": "raw", "value_serializer": "raw"}


#: For throughput.
TUNED: dict[str, Any] = {
    "topic_disable_leader": True,
    "stream_wait_empty": False,
    "stream_buffer_maxsize": 16_384,
    "broker_max_poll_records": 5_000,
    "consumer_max_fetch_size": 4 << 20,
    "producer_linger": 0.02,
    "producer_max_batch_size": 1 << 20,
    "producer_compression_type": "lz4",
}


def make_app(task: Task, folder: str, settings: dict[str, Any]) -> Any:
    """What is not named is Faust's default."""
    return faust.App(
        task.target,
        broker=f"kafka://{task.servers}",
        store="memory://",
        datadir=folder,
        web_enabled=False,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        **settings,
    )


async def run(task: Task, settings: dict[str, Any]) -> None:
    """Until all is read, sent and committed."""
    meter, done = Meter(task), asyncio.Event()
    with tempfile.TemporaryDirectory() as folder:
        app = make_app(task, folder, settings)
        target = app.topic(task.target, **RAW)

        @app.agent(app.topic(task.source, **RAW))  # type: ignore[untyped-decorator]  # as all of Faust
        async def route(stream: Any) -> None:
            async for event in stream.events():
                meter.begin(1)
                message = event.message
                made = work(message.key, message.value, message.headers)
                if made is not None:
                    key, value, headers = made
                    await target.send(key=key, value=value, headers=headers)
                if meter.all_read:
                    done.set()

        await app.start()
        await done.wait()
        await app.producer.flush()
        await app.consumer.commit()
        meter.report()
        await app.stop()


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(run(task_from_command_line(), TUNED))
