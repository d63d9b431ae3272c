"""`python -m tests.chaos.failpoints …` is `hub …`, but dies at the n-th passing of a named point.

The point and n are in `HUB_CHAOS_POINT`, as in `before-commit:17`. Known are `before-offsets`, `before-commit`,
`after-commit` and `after-confirmation`. They are inside of one
transaction, where the hub's own (`hub.stream.failpoints`) are between its steps.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import confluent_kafka

from tests.chaos.child import main


class _Countdown:
    def __init__(self, text: str) -> None:
        self.point, _, times = text.partition(":")
        self._left = int(times)
        self._lock = threading.Lock()

    def passes(self, point: str) -> None:
        if point == self.point:
            with self._lock:
                self._left -= 1
                if not self._left:
                    os.kill(os.getpid(), signal.SIGKILL)


def set_up(text: str) -> None:
    """Put the points around both producers, before the hub loads them."""
    countdown = _Countdown(text)

    class Producer(confluent_kafka.Producer):  # type: ignore[misc]
        def produce(self, *args: Any, on_delivery: Any = None, **options: Any) -> None:
            if on_delivery is None:
                super().produce(*args, **options)
                return

            def confirmed(error: Any, message: Any) -> None:
                countdown.passes("after-confirmation")
                on_delivery(error, message)

            super().produce(*args, on_delivery=confirmed, **options)

    confluent_kafka.Producer = Producer
    _around_transactions(countdown)


def _around_transactions(countdown: _Countdown) -> None:
    from hub.stream.producer import Producer

    moved, end = Producer._moved, Producer._end

    async def moved_later(self: Producer, *args: Any) -> Any:
        countdown.passes("before-offsets")
        return await moved(self, *args)

    async def end_later(self: Producer) -> None:
        countdown.passes("before-commit")
        await end(self)
        countdown.passes("after-commit")

    Producer._moved = moved_later  # type: ignore[method-assign, assignment]
    Producer._end = end_later  # type: ignore[method-assign]


if __name__ == "__main__":
    set_up(os.environ["HUB_CHAOS_POINT"])
    main()
