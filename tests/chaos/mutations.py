"""The hub broken on purpose, to show that the laboratory can fail: `python -m tests.chaos.mutations NAME …`.

That is `hub …` with one thing wrong. Nothing of it is in the hub: what is broken is put around Kafka's client, or
in the place of a method, before the process begins its work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from threading import Thread
from time import monotonic, sleep
from typing import Any

import confluent_kafka

from tests.chaos.child import main

_EVERY = 20  # transactions, of which one goes wrong
_FROZEN_S, _SLOW_S = 4.0, 6.0


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is broken, the faults that bring it to light, and what is then found."""

    name: str
    broken: str
    found: str
    apply: Callable[[], None]
    faults: tuple[str, ...] = ()
    rounds: int = 1


def _acknowledge_before_confirm() -> None:
    class Message:
        partition = offset = staticmethod(lambda: 0)

    class Producer(confluent_kafka.Producer):  # type: ignore[misc]
        def produce(self, *args: Any, on_delivery: Any = None, **options: Any) -> None:
            super().produce(*args, **options)
            if on_delivery is not None:
                on_delivery(None, Message())

    confluent_kafka.Producer = Producer


def _skip_deduplication() -> None:
    from hub.stream.seen import Window

    Window.__contains__ = lambda self, mark: False  # type: ignore[method-assign]


def _positions_without_outputs() -> None:
    from hub.stream.producer import Producer
    from hub.stream.records import singly

    write, begun = Producer.write, count(1)

    def write_at_times(self: Producer, outputs: Any, *others: Any) -> None:
        if next(begun) % _EVERY == 0:
            outputs = [one for one in singly(outputs) if not one.topic.startswith(("events.", "inbox."))]
        write(self, outputs, *others)

    Producer.write = write_at_times  # type: ignore[method-assign, assignment]


def _drop_dead_letters() -> None:
    from hub.stream.producer import Producer
    from hub.stream.records import singly

    write = Producer.write

    def write_others(self: Producer, outputs: Any, *others: Any) -> None:
        write(self, [one for one in singly(outputs) if one.topic != "dead-letters"], *others)

    Producer.write = write_others  # type: ignore[method-assign, assignment]


def _present_generation() -> None:
    from hub.stream.transactions import Transactor
    from hub.stream.transport import Consumer

    consumers: list[Consumer] = []
    made, commit = Consumer.__init__, Transactor.commit
    thawed = _Thawed()
    thawed.start()

    def init(self: Consumer, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        consumers.append(self)

    def commit_as_we_are(self: Transactor, outputs: Any, positions: Any, fence: Any) -> bool:
        if consumers:  # a stage that is as slow after a freeze as it can be: only then are we another by now
            thawed.wait_while(lambda: consumers[-1].membership()[0] == fence)
            fence = consumers[-1].membership()[0]
        return commit(self, outputs, positions, fence)

    Consumer.__init__ = init  # type: ignore[method-assign]
    Transactor.commit = commit_as_we_are  # type: ignore[method-assign]


class _Thawed(Thread):
    """Knows by its own clock whether the process stood still lately."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._at = 0.0

    def run(self) -> None:
        last = monotonic()
        while True:
            sleep(0.2)
            now = monotonic()
            if now - last > _FROZEN_S:
                self._at = now
            last = now

    def wait_while(self, same: Callable[[], bool]) -> None:
        """For some seconds after the process stood still."""
        while same() and monotonic() - self._at < _SLOW_S:
            sleep(0.05)


def _out_of_order() -> None:
    from hub.delivery.delivery import Delivery
    from hub.delivery.lanes import Lanes

    add = Lanes.add

    def add_apart(self: Lanes, delivery: Delivery) -> Delivery:
        delivery.subject = f"{delivery.subject} {delivery.offset}"
        return add(self, delivery)

    Lanes.add = add_apart  # type: ignore[method-assign]


MUTATIONS = {
    one.name: one
    for one in (
        Mutation(
            "acknowledge-before-confirm",
            "a webhook is answered 202 before Kafka has confirmed it",
            "lost",
            _acknowledge_before_confirm,
            ("gateway-kill-while-kafka-is-frozen",),
        ),
        Mutation(
            "skip-deduplication",
            "a fact that is reported again becomes a second event",
            "duplicated",
            _skip_deduplication,
        ),
        Mutation(
            "positions-without-outputs",
            "one transaction in twenty moves the positions and leaves its outputs out",
            "lost",
            _positions_without_outputs,
        ),
        Mutation(
            "present-generation",
            "a batch is committed as whoever we are now, not as who we were when it was fetched",
            "duplicated",
            _present_generation,
            ("worker-freeze", "rebalance-storm"),
            rounds=2,
        ),
        Mutation(
            "drop-dead-letters", "what cannot go on is passed over silently", "lost", _drop_dead_letters
        ),
        Mutation(
            "out-of-order",
            "deliveries about one subject do not wait for each other",
            "out_of_order",
            _out_of_order,
            ("receiver-busy", "receiver-slow"),
        ),
    )
}


if __name__ == "__main__":
    MUTATIONS[sys.argv.pop(1)].apply()
    main()
