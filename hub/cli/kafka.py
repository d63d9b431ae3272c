"""Kafka as `hub up` has it: opened while the hub's processes load, and started again when it ends by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from time import monotonic
from typing import Any, TypeVar

import structlog

from hub.stream.broker import Broker, BrokerError

log = structlog.get_logger()

T = TypeVar("T")

#: It is started again after this many seconds, doubled each time that it ends sooner than a healthy one would.
_FIRST_PAUSE = 0.5
_HEALTHY_AFTER = 30.0
_MOST = 5
"""Starts in a row, after which another would be no cure: 15 s of pauses."""


class Kafka:
    """A broker that is opened beside by `open_broker`. One thread uses it."""

    def __init__(self, open_broker: Callable[[], Broker]) -> None:
        self._opened = _beside(open_broker)
        self._starting: Future[Any] = self._opened
        self._started_at = 0.0
        self._starts = 0
        self._due: float | None = None

    def opened(self) -> Broker:
        """The broker, once it answers. Raises BrokerError."""
        return self._opened.result()

    def tend(self) -> None:
        """Start it again, after a pause, where it has ended. Never waits. Raises BrokerError where that is no cure."""
        now = monotonic()
        if self._due is None:
            if fault := self._fault():
                self._fall(fault, now)
        elif now >= self._due:
            self._started_at, self._due = now, None
            self._starting = _beside(self.opened().start)

    def close(self, until: float) -> None:
        """Stop it by the time `until`, as `monotonic` has it; a second is left to it in any case.

        What still starts ends with the program: of an embedded one, its guardian sees to that.
        """
        if wait([self._starting], max(1.0, until - monotonic())).done and self._opened.exception() is None:
            self.opened().stop(max(1.0, until - monotonic()))

    def _fall(self, fault: BrokerError, now: float) -> None:
        if now - self._started_at > _HEALTHY_AFTER:
            self._starts = 0
        if self._starts == _MOST:
            raise fault
        pause = _FIRST_PAUSE * 2**self._starts
        self._starts += 1
        self._due = now + pause
        log.error("kafka-restarts", reason=fault.message, seconds=pause)

    def _fault(self) -> BrokerError | None:
        """Why there is none, if there is none and none is starting."""
        if not self._starting.done():
            return None
        error = self._starting.exception()
        if isinstance(error, BrokerError):
            return error
        if error is None and self.opened().alive():
            return None
        what = f"cannot be started ({type(error).__name__})" if error else "ended by itself"
        return BrokerError(f"Kafka {what}", f"See {self.opened().log_path or '`docker logs`'}")


def _beside(work: Callable[[], T]) -> Future[T]:
    """Do it in a thread that ends with the program; that of an executor would hold it up."""
    future = Future[T]()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again by who asks for the result
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
