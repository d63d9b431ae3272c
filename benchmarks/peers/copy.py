"""Bytes and headers from topic to topic, untouched: what librdkafka under Python can do at most."""

from __future__ import annotations

from benchmarks.peers.loop import run
from benchmarks.peers.meter import task_from_command_line

if __name__ == "__main__":
    run(task_from_command_line(), lambda key, value, headers: (key, value, headers))
