"""Who is cancelled while a thread works for it goes on only when that has ended."""

from __future__ import annotations

import asyncio
import threading

import pytest

from hub.stream.off_loop import off_loop


async def test_a_cancelled_caller_waits_for_its_thread() -> None:
    begun, given_up, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert given_up.wait(10)
        ended.set()
        raise OSError("of no interest any more")

    task = asyncio.create_task(off_loop(work, given_up.set))
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_results_and_errors_come_through() -> None:
    assert await off_loop(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await off_loop(lambda: 1 // 0)
