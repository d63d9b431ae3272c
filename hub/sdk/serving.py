"""Serving an ASGI application on the loopback for a while, from async code or from a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp


class _Server(uvicorn.Server):
    """Ends as soon as it is told to and nothing is under way: uvicorn looks ten times a second, and then waits."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to whoever runs the simulator."""
        yield

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for one in (*self.servers, *(sockets or ())):
            one.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)

    def end(self) -> None:
        """From the loop that it serves on."""
        self.should_exit = True
        self._told.set()


@asynccontextmanager
async def serving(app: ASGIApp, port: int = 0) -> AsyncIterator[str]:
    """Serve any ASGI application on the loopback while the block runs; gives its base URL."""
    listener = socket.create_server(("127.0.0.1", port))  # listens already, so nobody has to wait
    config = uvicorn.Config(app, log_level="critical", lifespan="off", timeout_graceful_shutdown=1)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.end()
        await task


@contextmanager
def in_thread(manager: Callable[[], Any]) -> Iterator[Any]:
    """Hold an asynchronous context open in a thread with a loop of its own; gives what it gives."""
    started, result, failure = threading.Event(), [], []
    handles: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def hold() -> None:
        async with manager() as value:
            result.append(value)
            handles.append((asyncio.get_running_loop(), asyncio.Event()))
            started.set()
            await handles[0][1].wait()

    def run() -> None:
        try:
            asyncio.run(hold())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            failure.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, daemon=True, name="simulator")
    thread.start()
    started.wait()
    try:
        if failure:
            raise failure[0]
        yield result[0]
    finally:
        if handles and thread.is_alive():
            loop, ended = handles[0]
            loop.call_soon_threadsafe(ended.set)
        thread.join()
