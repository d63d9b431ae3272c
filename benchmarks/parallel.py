"""Work in a process per core, ended with us."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Self, TypeVar

Made = TypeVar("Made")


class Crew:
    """Processes that wait for work. Ctrl-C is ours alone: they end when the crew does."""

    def __enter__(self) -> Self:
        context = multiprocessing.get_context("spawn")
        self._pool = context.Pool(os.cpu_count(), signal.signal, (signal.SIGINT, signal.SIG_IGN))
        return self

    def __exit__(self, *_: TracebackType | type[BaseException] | BaseException | None) -> None:
        self._pool.terminate()
        self._pool.join()

    def each(self, function: Callable[..., Made], calls: Iterable[tuple[Any, ...]]) -> list[Made]:
        """What `function`, one that can be pickled, makes of each call's arguments. Raises what it raises."""
        return self._pool.starmap(function, calls, chunksize=1)
