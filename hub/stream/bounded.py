"""Calls into librdkafka that may never come back, ended by our own clock.

`send_offsets_to_transaction` does not honour the time limit that it is given while it looks for the group's
coordinator, and looks for ever where that broker was stopped in order: confluentinc/librdkafka#5456, #5511, open in
2.16. Without this a rolling restart of Kafka leaves workers that live, keep their partitions and do nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock, Thread

from confluent_kafka import KafkaError, KafkaException

#: Calls that may be out at once before the process is given up: each keeps a producer and a thread.
MOST_STUCK = 8


class Stuck(Exception):
    """Too many calls never came back: the process is to be started anew."""


class Bounded:
    """Makes calls on threads of their own, and counts those that are not back."""

    def __init__(self, most: int = MOST_STUCK) -> None:
        self._most = most
        self._stuck = 0
        self._lock = Lock()

    def within(self, seconds: float, call: Callable[[], object]) -> None:
        """Return or raise as `call` does; raise KafkaException (`_TIMED_OUT`) if that takes longer than `seconds`.

        Whatever the call works on must then be left alone: it is still being worked on. Raises Stuck.
        """
        raised: list[BaseException | None] = []
        left = False

        def run() -> None:
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - carried over to whoever waits
                raised.append(error)
            else:
                raised.append(None)
            with self._lock:
                self._stuck -= left

        thread = Thread(target=run, name="bounded", daemon=True)
        thread.start()
        thread.join(seconds)
        with self._lock:
            if not raised:
                left = True
                self._stuck += 1
                if self._stuck > self._most:
                    raise Stuck(f"{self._stuck} calls to Kafka never came back")
        if left:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if raised[0] is not None:
            raise raised[0]


calls = Bounded()
"""Of this process."""
