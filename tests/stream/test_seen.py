"""What was translated already is known within the window, whoever wrote it, and nothing else is."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.config import HubConfig
from hub.stream import marks as marks_module
from hub.stream import topics
from hub.stream.marks import Marks
from hub.stream.records import Batch, Fence, Read
from hub.stream.seen import Seen


def mark(number: int) -> bytes:
    return Seen.mark(str(uuid.uuid5(uuid.NAMESPACE_OID, str(number))))


def batch(fence: Fence, partition: int) -> Batch:
    return Batch("raw.any", partition, [Read("raw.any", partition, 0, 0, b"", b"", [])], fence)


# -- the set -----------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 400), max_size=300), st.integers(0, 300))
@settings(max_examples=60, deadline=None)
def test_a_set_of_marks_has_what_was_added_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, added: list[int], before: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(marks_module, "_FIRST", 8)
        patch.setattr(marks_module, "_MOST", 64)
        marks = Marks(folder)
        last: dict[int, int] = {}
        for offset, number in enumerate(added):
            marks.add(mark(number), offset)
            last[number] = offset
        assert {number for number in range(401) if mark(number) in marks} == last.keys()
        marks.forget_before(before)
        left = {number for number in range(401) if mark(number) in marks}
        assert {number for number, offset in last.items() if offset >= before} <= left <= last.keys()


def test_of_long_ago_no_table_is_left(tmp_path: Path) -> None:
    marks = Marks(tmp_path)
    for number in range(20_000):
        marks.add(mark(number), number)
    marks.forget_before(20_000)
    assert not any(mark(number) in marks for number in range(20_000))


def test_a_folder_that_cannot_be_written_costs_memory_and_no_marks(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("no folder")
    marks = Marks(tmp_path / "taken")
    marks.add(mark(1), 0)
    assert (mark(1) in marks, mark(2) in marks) == (True, False)


def test_a_system_that_can_promise_no_room_on_its_disk_costs_memory_and_no_marks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("os.posix_fallocate")
    marks = Marks(tmp_path)
    marks.add(mark(1), 0)
    assert (mark(1) in marks, mark(2) in marks) == (True, False)


# -- over Kafka --------------------------------------------------------------------------------------------------


class World:
    """A partition of `hub.seen` to itself, with what is committed in it."""

    def __init__(self, kafka: str) -> None:
        topics.ensure(kafka, topics.declare(HubConfig(), [], []))
        self.kafka = kafka
        self.partition = 3
        self._producer = Producer({"bootstrap.servers": kafka, "linger.ms": 1})

    def commit(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            output = Seen.output(mark(number), self.partition)
            self._producer.produce(output.topic, output.value, output.key, self.partition)
        assert self._producer.flush(30) == 0


@pytest.fixture
def world(kafka: str) -> World:
    return World(kafka)


@pytest.fixture
def of(world: World, tmp_path: Path) -> Callable[..., set[int]]:
    """A worker that is asked, under a generation, which numbers it knows; those that it adds it does not commit."""
    seen = Seen(world.kafka, tmp_path, many=10)

    def known(
        generation: int, asked: Iterable[int], adds: Iterable[int] = (), lost: bool = False
    ) -> set[int]:
        mine = batch(Fence("hub", generation, "m"), world.partition)
        window = seen.of(mine)
        found = {number for number in asked if mark(number) in window}
        for number in adds:
            window.add(mark(number))
        if lost:
            seen.drop([mine])
        return found

    return known


def test_marks_that_others_committed_meanwhile_are_known_from_the_next_generation_on(
    world: World, of: Callable[..., set[int]]
) -> None:
    world.commit(range(1_000, 1_010))
    assert of(1, range(1_000, 1_030)) == set(range(1_000, 1_010))
    world.commit(range(1_010, 1_020))  # another worker's
    assert of(2, range(1_000, 1_030)) == set(range(1_000, 1_020))


def test_what_was_added_counts_until_its_transaction_falls_through(
    world: World, of: Callable[..., set[int]]
) -> None:
    of(1, (), adds=range(2_000, 2_005))
    assert of(1, range(2_000, 2_010), lost=True) == set(range(2_000, 2_005))
    assert of(1, range(2_000, 2_010)) == set()


def test_many_that_were_added_are_read_again_and_those_on_their_way_stay(
    world: World, of: Callable[..., set[int]]
) -> None:
    of(1, (), adds=range(3_000, 3_020))
    world.commit(range(3_000, 3_015))  # ours; the others are in a transaction that is open
    assert of(1, range(3_000, 3_030)) == set(range(3_000, 3_020))
    assert of(1, range(3_000, 3_030), lost=True) == set(range(3_000, 3_020))
    assert of(1, range(3_000, 3_030)) == set(range(3_000, 3_015))


def test_what_is_past_its_window_is_forgotten(world: World, of: Callable[..., set[int]]) -> None:
    world.commit(range(4_000, 4_003))
    assert of(1, range(4_000, 4_010)) == set(range(4_000, 4_003))
    admin = AdminClient({"bootstrap.servers": world.kafka})
    for done in admin.delete_records([TopicPartition(topics.SEEN, world.partition, -1)]).values():
        done.result(30)  # as retention would
    assert of(2, range(4_000, 4_010)) == set()
