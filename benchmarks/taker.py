"""A subscriber that takes every delivery at once and notes when, in a process of its own."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import httptools
import msgspec
import uvloop

_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class _Delivery(msgspec.Struct):
    subject: str


_decode = msgspec.json.Decoder(_Delivery).decode


class _Line(asyncio.Protocol):
    def __init__(self, taken: list[tuple[str, float]]) -> None:
        self._taken = taken
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._taken.append((_decode(self._body).subject, time.monotonic()))
        self._transport.write(_ANSWER)
        self._body = b""


class Taker:
    """The process, seen from outside."""

    def __init__(self, pid: int, url: str, pipe: Connection) -> None:
        self.pid = pid
        self.url = url
        self._pipe = pipe

    def count(self) -> int:
        """How many deliveries came."""
        return int(self._ask("count"))

    def taken(self) -> list[tuple[str, float]]:
        """Subject and time (monotonic seconds, the same in all processes of a machine) of each, and forget them."""
        found: list[tuple[str, float]] = self._ask("taken")
        return found

    def _ask(self, question: str) -> Any:
        self._pipe.send(question)
        return self._pipe.recv()


@contextmanager
def taker() -> Iterator[Taker]:
    """Takes deliveries for the length of the block."""
    ours, its = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_run, args=(its,), daemon=True)
    process.start()
    try:
        port = ours.recv()
        assert process.pid is not None
        yield Taker(process.pid, f"http://127.0.0.1:{port}/", ours)
    finally:
        ours.send("end")
        process.join(5)


def _run(pipe: Connection) -> None:
    uvloop.run(_serve(pipe))
    os._exit(0)


async def _serve(pipe: Connection) -> None:
    taken: list[tuple[str, float]] = []
    server = await asyncio.get_running_loop().create_server(lambda: _Line(taken), "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    await asyncio.to_thread(_answer_questions, pipe, taken)


def _answer_questions(pipe: Connection, taken: list[tuple[str, float]]) -> None:
    while (question := pipe.recv()) != "end":
        if question == "count":
            pipe.send(len(taken))
        else:
            pipe.send(list(taken))
            taken.clear()
