"""The hub broken on purpose, to show that the laboratory can fail: `python -m tests.chaos.mutations NAME …`.

That is `hub …` with one thing wrong. Nothing of it is in the hub: what is broken is put around Kafka's client, or
in the place of a method, before the process begins its work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from time import monotonic, sleep
from typing import Any

import confluent_kafka

from tests.chaos.child import main

_EVERY = 20  # transactions, of which one goes wrong
_PATIENCE_S = 8.0  # until we are a member again; the watchdog waits no longer


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is broken, the faults that bring it to light, and what is then found."""

    name: str
    broken: str
    found: str
    apply: Callable[[], None]
    faults: tuple[str, ...] = ()
    rounds: int = 1
    registers: int = 0
    """Licences in the registers beside the messages, where work must be in hand."""


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
    from hub.stream.records import NOBODY
    from hub.stream.transactions import Transactor
    from hub.stream.transport import Consumer

    consumers: list[Consumer] = []
    made, attempt = Consumer.__init__, Transactor._attempt

    def init(self: Consumer, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        consumers.append(self)

    def attempt_as_we_are(self: Transactor, outputs: Any, positions: Any, fence: Any) -> bool:
        if attempt(self, outputs, positions, fence) or not consumers:
            return True
        deadline = monotonic() + _PATIENCE_S
        while (present := consumers[-1].membership()[0]) in (fence, NOBODY):
            if monotonic() > deadline:
                return False
            sleep(0.05)
        return attempt(self, outputs, positions, present)

    Consumer.__init__ = init  # type: ignore[method-assign]
    Transactor._attempt = attempt_as_we_are  # type: ignore[method-assign]


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
            "a batch that the group refuses is committed again, as whoever we are by then",
            "duplicated",
            _present_generation,
            ("worker-freeze", "rebalance-storm"),
            rounds=2,
            registers=500,
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
