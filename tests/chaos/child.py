"""`python -m tests.chaos.child …` is `hub …`, and on SIGUSR1 writes into its log what every thread and task waits for.

So a process that lives and does nothing can be asked why; nothing else about it differs.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import signal
import sys
from typing import Any


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGUSR1, _tell)

    from hub.cli.main import app

    app()


def _tell(*_: Any) -> None:
    faulthandler.dump_traceback(sys.stderr)
    for task in [one for one in gc.get_objects() if isinstance(one, asyncio.Task) and not one.done()]:
        sys.stderr.write(f"task {task.get_name()} {task.get_coro()!r}\n")
        _tell_awaited(task.get_coro())
    sys.stderr.flush()


def _tell_awaited(awaited: Any) -> None:
    """Down the chain of what a coroutine awaits: its own stack alone would show the outermost frame."""
    for _ in range(30):
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is None:
            sys.stderr.write(f"    awaits {awaited!r:.200}\n")
            return
        sys.stderr.write(f"    {frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}\n")
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)


if __name__ == "__main__":
    main()
