"""Exactly once in any order of events: fetch, process, commit, abort, revoke, assign, crash, over a fake Kafka.

The model knows one thing: what is committed of a partition's outputs is what its records up to the committed
offset lead to, each once, in their order. Whether the machine can tell is shown on variants of our code that
are broken on purpose.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from confluent_kafka import KafkaException
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from structlog.testing import capture_logs

from hub.stream.committed import Committed
from hub.stream.records import Batch, Fence, Output, Place, Positions
from hub.stream.runner import StageRunner
from hub.stream.standing import Standing
from hub.stream.transactions import Transactor
from tests.schedules import schedules
from tests.stream.fake_kafka import GROUP, FakeKafka, Fault, State
from tests.stream.simulated_worker import OUT, Numbering, Worker, expected

PLACES: list[Place] = [("in", 0), ("in", 1), ("in", 2)]
NAMES = ["a", "b"]

names = st.sampled_from(NAMES)
places = st.sampled_from(PLACES)
records = st.lists(
    st.sampled_from([b"ok", b"ok", b"ok", b"none", b"bad", b"huge", None]), min_size=1, max_size=4
)
#: Calls of one commit: outputs, offsets, the commit; after a failure the producer anew, and what is committed.
plans = st.just([]) | st.builds(
    lambda before, fault, then: [Fault.NONE] * before + [fault, *then],
    st.sampled_from([0, 1, 2, 2]),
    st.sampled_from([Fault.LOST, *list(Fault)[1:]]),
    st.lists(st.sampled_from([Fault.NONE, Fault.FAILS, Fault.LOST]), max_size=3),
)
TROUBLE = (
    "rebalance revoke join_again_for_nothing hear_of_being_given_up ask_where_to_begin begin start crash"
).split()


class AnyOrder(RuleBasedStateMachine):
    """Two workers share three partitions. Each rule is one step of one of them, of Kafka, or of the group."""

    transactor: type[Transactor] = Transactor
    runner: type[StageRunner] = StageRunner
    standing: type[Standing] = Standing
    worker: type[Worker] = Worker
    kafka_type: type[FakeKafka] = FakeKafka

    @initialize(forgetful=st.booleans())
    def begin_with_two(self, forgetful: bool) -> None:
        self.kafka = self.kafka_type()
        self.kafka.log = {place: [] for place in PLACES}
        self.forgetful = forgetful
        self.made = self.lives = 0
        self.workers: dict[str, Worker] = {}
        self.joining: list[str] = []
        for place in PLACES:
            self.append(place, [b"ok", b"ok"])
        for name in NAMES:
            self.start(name)
        self.rebalance(set(), 0)

    # -- Kafka ---------------------------------------------------------------------------------------------

    @rule(place=places, kinds=records)
    def append(self, place: Place, kinds: list[bytes | None]) -> None:
        for kind in kinds:
            self.made += 1
            self.kafka.log[place].append(kind and b"%s%d" % (kind, self.made))

    @rule(name=names, expires=st.booleans())
    def the_coordinator_turns_to_a_transaction(self, name: str, expires: bool) -> None:
        for one in self.kafka.of(name):
            if expires:
                self.kafka.expire(one)
            elif one.state is State.DECIDED:
                self.kafka.end(one)

    # -- the group -----------------------------------------------------------------------------------------

    @rule(name=names, what=st.sampled_from(TROUBLE), given_up=st.sets(names), turned=st.integers(0, 2))
    def something_happens(self, name: str, what: str, given_up: set[str], turned: int) -> None:
        """One rule for all that interrupts, so that there is progress between two interruptions."""
        if what == "rebalance":
            self.rebalance(given_up, turned)
        else:
            getattr(self, what)(name)

    def rebalance(self, given_up: set[str], turned: int) -> None:
        """Who has joined, and who does in time, share the partitions; the others are given up."""
        for name in NAMES:
            if name not in given_up:
                self.revoke(name)
        self.kafka.generation += 1
        joined, self.joining = self.joining, []
        self.kafka.members = {self.workers[name].name_in_group for name in joined}
        for at, name in enumerate(joined):
            one = self.workers[name]
            fence = Fence(GROUP, self.kafka.generation, one.name_in_group)
            self.assign(one, fence, set(PLACES[(at + turned) % len(joined) :: len(joined)]))

    def assign(self, one: Worker, fence: Fence, mine: set[Place]) -> None:
        if one.standing.was(fence):
            self.kafka.members.discard(one.name_in_group)
            one.member = Fence(GROUP, -1, "")
            self.joining.append(one.name)
            return
        one.member, one.assigned = fence, mine
        known = self.kafka.offsets  # aiokafka looks for itself, and does not wait for what is under way
        one.positions = {place: known[place].offset if place in known else 0 for place in mine}

    def revoke(self, name: str) -> None:
        one = self.workers[name]
        if one.alive and name not in self.joining:
            one.revoked()
            self.joining.append(name)

    def join_again_for_nothing(self, name: str) -> None:
        one = self.workers[name]
        if one.alive and name not in self.joining and one.name_in_group in self.kafka.members:
            one.revoked()
            if one.member.generation == self.kafka.generation:
                self.assign(one, one.member, one.assigned)
            else:
                self.joining.append(name)

    @rule(name=names)
    def settle_down(self, name: str) -> None:
        """Whatever was begun with the group is brought to its end."""
        self.start(name)
        while self.joining or self.workers[name].name_in_group not in self.kafka.members:
            self.rebalance(set(), 0)
        self.ask_where_to_begin(name)
        self.begin(name)

    def hear_of_being_given_up(self, name: str) -> None:
        one = self.workers[name]
        if one.alive and one.name_in_group not in self.kafka.members:
            one.member = Fence(GROUP, -1, "")

    def give_up(self) -> None:
        self.kafka.generation += 1
        self.kafka.members = set()

    # -- workers -------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        if name not in self.workers or not self.workers[name].alive:
            self.lives += 1
            stage = Numbering(self.kafka, self.forgetful)
            self.workers[name] = self.worker(
                name, self.kafka, self.lives, stage, self.transactor, self.runner, self.standing()
            )
            self.joining.append(name)
            self.step(name, "commit", [])  # the producer is opened ahead

    def crash(self, name: str) -> None:
        if self.workers[name].alive:
            self.workers[name].die()
        self.bury()

    def bury(self) -> None:
        self.joining = [name for name in self.joining if self.workers[name].alive]

    def ask_where_to_begin(self, name: str) -> None:
        one = self.workers[name]
        if (
            one.alive
            and name not in self.joining
            and one.member.generation >= 0
            and one.member != one.standing.fence
        ):
            one.ask()

    def begin(self, name: str) -> None:
        if self.workers[name].alive and self.workers[name].found:
            self.workers[name].begin()

    @rule(name=names, which=st.integers(0, 2), count=st.integers(1, 5))
    def fetch(self, name: str, which: int, count: int) -> None:
        one = self.workers[name]
        if one.alive and one.positions:
            one.fetch(sorted(one.positions)[which % len(one.positions)], count)

    @rule(name=names)
    def hand_on(self, name: str) -> None:
        if self.workers[name].alive:
            self.workers[name].hand_on()

    @rule(name=names, which=st.integers(0, 2))
    def process(self, name: str, which: int) -> None:
        if not self.waits(name, "process"):
            self.fetch(name, which, 3)
            self.hand_on(name)
        self.step(name, "process", [])

    @rule(name=names, which=st.integers(0, 2), settled=st.booleans(), plan=plans)
    def commit(self, name: str, which: int, settled: bool, plan: list[Fault]) -> None:
        if settled:
            self.settle_down(name)
        if not self.waits(name, "commit"):
            self.process(name, which)
        self.step(name, "commit", plan)

    def waits(self, name: str, kind: str) -> bool:
        one = self.workers[name]
        return one.alive and bool(one.threads[kind].waiting)

    def step(self, name: str, kind: str, plan: list[Fault]) -> None:
        if self.waits(name, kind):
            self.kafka.give_up = self.give_up
            self.workers[name].make(kind, plan)
            self.bury()

    # -- what must hold ------------------------------------------------------------------------------------

    @invariant()
    def what_is_written_is_what_was_committed(self) -> None:
        for place, values in self.kafka.log.items():
            position = self.kafka.position(place)
            assert position <= len(values)
            wanted = expected(values[:position], self.forgetful)
            assert self.kafka.visible((OUT, place[1])) == wanted

    def teardown(self) -> None:
        """When all is well again, all is processed."""
        try:
            if hasattr(self, "workers"):
                self.heal()
        finally:
            for one in getattr(self, "workers", {}).values():
                if one.alive:
                    one.die()

    def heal(self) -> None:
        for name in NAMES:
            self.start(name)
        self.rebalance(set(), 0)
        for name in NAMES:
            self.settle_down(name)
        for _ in range(200):
            if all(self.kafka.position(place) == len(values) for place, values in self.kafka.log.items()):
                break
            for name in NAMES:
                for which in range(3):
                    self.fetch(name, which, 5)
                self.hand_on(name)
                for kind in ("process", "commit"):
                    self.step(name, kind, [])
        for place, values in self.kafka.log.items():
            assert self.kafka.visible((OUT, place[1])) == expected(values, self.forgetful)


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Thousands of deaths are nothing to read of."""
    with capture_logs():
        yield


RUNS = settings(
    max_examples=schedules(120),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_every_record_is_processed_once_in_any_order_of_events() -> None:
    run_state_machine_as_test(AnyOrder, settings=RUNS)


# -- variants that are broken on purpose -----------------------------------------------------------------------


class MembershipOfTheCommit(StageRunner):
    """Commits under the membership of now, and not of the fetch."""

    worker: Worker

    def _commit(self, outputs: Sequence[Output], batches: Sequence[Batch]) -> bool:
        now = [Batch(*one.place, one.records, self.worker.member, reached=one.next_offset) for one in batches]
        return super()._commit(outputs, now)


class Introduced(Worker):
    """Its runner knows it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.run.worker = self  # type: ignore[attr-defined]


class PositionsFirst(Transactor):
    """Moves the group before its outputs are confirmed."""

    def _attempt(self, outputs: Iterable[Output], positions: Positions, fence: Fence) -> bool:
        return super()._attempt([], positions, fence) and super()._attempt(outputs, {}, fence)


class OldPositions(Worker):
    """Reads on where it was before its partitions were taken back and given again."""

    def seek(self, positions: Positions) -> None:
        self.positions = positions | {place: at for place, at in self.kept.items() if place in positions}

    def revoked(self) -> None:
        self.kept = dict(self.positions)
        super().revoked()

    kept: Mapping[Place, int] = {}


class Unstable(FakeKafka):
    """Committed offsets are read without waiting for what is under way, as aiokafka would."""

    def committed(self, _servers: str, group: str, places: Sequence[Place]) -> dict[Place, Committed]:
        return {place: self.offsets[place] for place in places if place in self.offsets}


class NotLooking(Transactor):
    """Takes a commit without an answer for one that did not happen."""

    def _landed(self, positions: Positions, fence: Fence) -> bool:
        return False


class NotInsisting(Transactor):
    """Takes a commit for one that did not happen where nobody could say."""

    def _landed(self, positions: Positions, fence: Fence) -> bool:
        try:
            return super()._landed(positions, fence)
        except KafkaException:
            return False


class SameAgain(Standing):
    """Does not mind being given the same membership again."""

    def was(self, fence: Fence) -> bool:
        return False


class TooEarly(Standing):
    """Hands out what was fetched before anybody asked where our transactions had ended."""

    def batch(self, fence: Fence, place: Place, records: Sequence[Any], reached: int) -> Batch | None:
        if fence != self.fence:
            self.begin(fence, dict.fromkeys(PLACES, 0))
        return super().batch(fence, place, records, reached)


BROKEN: dict[str, dict[str, type]] = {
    "the membership of the commit, not of the fetch": {
        "runner": MembershipOfTheCommit,
        "worker": Introduced,
    },
    "positions before outputs": {"transactor": PositionsFirst},
    "positions not reset": {"worker": OldPositions},
    "offsets that are not stable": {"kafka_type": Unstable},
    "an unknown outcome taken for none": {"transactor": NotLooking},
    "no answer about an outcome taken for none": {"transactor": NotInsisting},
    "the same membership twice": {"standing": SameAgain},
    "handing out too early": {"standing": TooEarly},
}
#: What the machine comes upon in a minute, and at once where it begins to draw so.
SEEDS = {"the same membership twice": 32}


@pytest.mark.parametrize("name", BROKEN)
def test_the_machine_finds_what_is_broken(name: str) -> None:
    variant = type("Broken", (AnyOrder,), BROKEN[name])
    if name in SEEDS:
        seed(SEEDS[name])(variant)
    found = settings(RUNS, max_examples=2_000, derandomize=True, database=None, phases=[Phase.generate])
    with pytest.raises(AssertionError):
        run_state_machine_as_test(variant, settings=found)
