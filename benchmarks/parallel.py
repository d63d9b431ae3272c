"""Work in a process per core, ended with us."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

Made = TypeVar("Made")


def each(function: Callable[..., Made], calls: Iterable[tuple[Any, ...]]) -> list[Made]:
    """What `function`, one that can be pickled, makes of each call's arguments. Raises what it raises."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(os.cpu_count(), signal.signal, (signal.SIGINT, signal.SIG_IGN)) as pool:
        return pool.starmap(function, calls, chunksize=1)
