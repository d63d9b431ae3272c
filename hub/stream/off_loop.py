"""Work in a thread that is over when its caller goes on, cancelled or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def off_loop(call: Callable[[], T], give_up: Callable[[], None] = lambda: None) -> T:
    """What `call` gives, from a thread.

    Who is cancelled meanwhile calls `give_up`, which may make it shorter, and goes on only when the thread has
    ended: what that works on, a file or a database, is closed next, and closing it under its hands is a crash.
    """
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        give_up()
        await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # of no interest any more, and so that nobody is told of it
        raise
