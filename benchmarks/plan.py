"""Which rows there are, how many events each gets, and which two rows make which ratio."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

AT_LEAST_ONCE = "at_least_once"
EXACTLY_ONCE = "exactly_once"


@dataclass(frozen=True, slots=True)
class Row:
    """A peer under a guarantee. Of the events it gets one in `share`, so that its runs take as long as others'."""

    peer: str
    guarantee: str = AT_LEAST_ONCE
    share: int = 1
    quick: bool = True

    @property
    def name(self) -> str:
        """In tables, JSON and `--only`."""
        return self.peer if self.guarantee == AT_LEAST_ONCE else f"{self.peer}_eos"


ROWS = (
    Row("route"),  # as a hub runs it, with a worker per core
    Row("kafka_streams"),
    Row("route", EXACTLY_ONCE),
    Row("route_one", quick=False),  # with one worker
    Row("route_one", EXACTLY_ONCE, quick=False),
    Row("kafka_streams", EXACTLY_ONCE),
    Row("copy"),
    Row("copy", EXACTLY_ONCE, quick=False),
    Row("loop", share=2),
    Row("quix", share=4),
    Row("faststream", share=10),
    Row("faust", share=30),  # set up for throughput
    Row("faust_plain", share=60),  # as it comes
)

#: The first row's rate over the second's. The names are followed over time: never change one.
RATIOS: Mapping[str, tuple[str, str]] = {
    "route_vs_kafka_streams": ("route", "kafka_streams"),
    "route_eos_vs_kafka_streams_eos": ("route_eos", "kafka_streams_eos"),
    "route_vs_faust": ("route", "faust"),
    "route_vs_faust_plain": ("route", "faust_plain"),
    "route_vs_quix": ("route", "quix"),
    "route_vs_faststream": ("route", "faststream"),
    "route_vs_loop": ("route", "loop"),
    "route_vs_copy": ("route", "copy"),
    "exactly_once_vs_at_least_once": ("route_eos", "route"),
}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: `events` after a warm-up of `warm`, of each row its share, in so many rounds."""

    events: int
    rounds: int
    warm: int = 100_000  # after which the JVM's rate no longer rises; more than any peer takes at once

    def of(self, row: Row) -> tuple[int, int]:
        """The row's records before measuring, and those measured."""
        return max(1, self.warm // row.share), max(1, self.events // row.share)


FULL = Size(events=1_000_000, rounds=5)
QUICK = Size(events=150_000, rounds=2)
