"""A call that never comes back is left behind in time; too many of them end the process."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

import pytest
from confluent_kafka import KafkaError, KafkaException

from hub.stream.bounded import Bounded, Stuck


def raising(error: Exception) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


def test_a_call_returns_and_raises_as_ever() -> None:
    bounded, made = Bounded(), []
    bounded.within(5, lambda: made.append(1))
    assert made == [1]
    with pytest.raises(KafkaException) as told:
        bounded.within(5, raising(KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))))
    assert told.value.args[0].code() == KafkaError.ILLEGAL_GENERATION


def test_one_that_never_comes_back_is_a_time_out_and_too_many_are_the_end() -> None:
    bounded, over = Bounded(most=2), Event()
    for _ in range(2):
        with pytest.raises(KafkaException) as told:
            bounded.within(0.01, over.wait)
        assert told.value.args[0].code() == KafkaError._TIMED_OUT
    with pytest.raises(Stuck):
        bounded.within(0.01, over.wait)
    over.set()


def test_those_that_came_back_late_do_not_count() -> None:
    bounded = Bounded(most=1)
    for _ in range(5):
        over, back = Event(), Event()

        def late(over: Event = over, back: Event = back) -> None:
            over.wait()
            back.set()

        with pytest.raises(KafkaException):
            bounded.within(0.01, late)
        over.set()
        assert back.wait(5)
        while bounded._stuck:
            continue
