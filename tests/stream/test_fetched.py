"""Records read as columns are the records that aiokafka reads, whatever they hold and however they were sent."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.events.heads import Heads
from hub.stream.fetched import columns_of
from hub.stream.records import Batch, Fence
from tests.stream.fetching import Headers, Sent, fetched

SAME = st.tuples(
    st.none() | st.binary(max_size=200), st.none() | st.binary(max_size=9000), st.binary(max_size=90)
).map(lambda sent: (sent[0], sent[1], [("ce_id", sent[2]), ("ce_type", b"a.b.c")]))
VARIOUS = st.tuples(
    st.none() | st.binary(max_size=20),
    st.none() | st.binary(max_size=20),
    st.lists(st.tuples(st.text(max_size=5), st.none() | st.binary(max_size=5)), max_size=4),
)


def same(heads: Heads, headers: list[Headers]) -> bool:
    names = {name for each in headers for name, _ in each}
    return all(
        heads.texts(name) == [(dict(each).get(name) or b"").decode() for each in headers] for name in names
    )


@pytest.mark.parametrize("compression", [0, 1, 3, 4], ids=["plain", "gzip", "lz4", "zstd"])
@pytest.mark.parametrize("each", [1, 7, 1000])
def test_columns_are_the_records_whatever_the_compression(compression: int, each: int) -> None:
    draw = random.Random(each)
    sent: list[Sent] = [
        (
            draw.randbytes(draw.randrange(100)),
            draw.randbytes(draw.choice([0, 1, 63, 64, 300, 9000])),
            [("ce_id", str(number).encode()), ("ce_time", b"2026"), ("other", "ünï".encode())],
        )
        for number in range(300)
    ]
    records = fetched(sent, 5_000_000_010, compression, each, base=5_000_000_000)
    columns = records.columns()
    assert columns.offsets == [5_000_000_000 + at for at in range(10, 300)]
    assert columns.values == [value for _, value, _ in sent[10:]]
    assert same(columns.heads, [headers for _, _, headers in sent[10:]])
    assert [(r.offset, r.key, r.value, list(r.headers)) for r in records] == [
        (5_000_000_000 + at, *sent[at]) for at in range(10, 300)
    ]


@settings(deadline=None)
@given(st.lists(SAME, min_size=1, max_size=4), st.integers(0, 3))
def test_columns_of_few_are_those_of_many(sent: list[Sent], skipped: int) -> None:
    """A fetch of few is read record by record, one of many as columns: both see the same."""
    many = sent * 40
    columns, records = fetched(many, skipped).columns(), list(fetched(many, skipped))
    assert columns.offsets == [record.offset for record in records]
    assert columns.values == [record.value or b"" for record in records]
    told = columns_of([records])[0].heads
    for name in ("ce_id", "ce_type"):
        assert columns.heads.texts(name) == told.texts(name)
    assert columns.heads.faults() == told.faults()


@settings(deadline=None)
@given(st.lists(VARIOUS, min_size=1, max_size=5))
def test_headers_that_differ_from_record_to_record_are_read_too(sent: list[Sent]) -> None:
    many = sent * 30
    columns, records = fetched(many).columns(), list(fetched(many))
    assert columns.values == [record.value or b"" for record in records]
    told = columns_of([records])[0].heads
    for name in {name for _, _, headers in sent for name, _ in headers}:
        assert columns.heads.texts(name) == told.texts(name)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(SAME | VARIOUS, min_size=1, max_size=4), st.integers(0, 3)), min_size=1, max_size=3
    )
)
def test_several_fetches_are_columns_one_after_the_other(several: list[tuple[list[Sent], int]]) -> None:
    fetches = [fetched(sent * 30, skipped, each=7) for sent, skipped in several]
    columns, starts = columns_of(fetches)
    records = [list(fetched(sent * 30, skipped, each=7)) for sent, skipped in several]
    assert columns.values == [record.value or b"" for each in records for record in each]
    assert columns.offsets == [record.offset for each in records for record in each]
    assert starts == [sum(map(len, records[:at])) for at in range(len(records))]
    told = columns_of([[record for each in records for record in each]])[0].heads
    for name in {name for sent, _ in several for _, _, headers in sent for name, _ in headers}:
        assert columns.heads.texts(name) == told.texts(name)


@given(
    st.lists(VARIOUS, min_size=1, max_size=40),
    st.integers(1, 9),
    st.integers(1, 30),
    st.integers(0, 3),
)
def test_in_pieces_it_is_the_same_records_and_each_says_where_reading_goes_on(
    sent: list[Sent], each: int, most: int, skipped: int
) -> None:
    skipped = min(skipped, min(each, len(sent)) - 1)
    whole = list(fetched(sent, skipped, each=each))
    batch = Batch("t", 0, fetched(sent, skipped, each=each), Fence("g", 1, "m"), 7, len(sent) + 1, range(2))
    pieces = batch.pieces(most)
    assert [record.offset for piece in pieces for record in piece.records] == [one.offset for one in whole]
    assert all(len(piece.records) <= max(most, each) for piece in pieces)
    reached = [piece.records[-1].offset + 1 for piece in pieces[:-1]]
    assert [piece.next_offset for piece in pieces] == [*reached, len(sent) + 1]
    assert [piece.lost for piece in pieces] == [range(2), *[range(0)] * (len(pieces) - 1)]
    assert {(piece.fence, piece.number) for piece in pieces} == {(batch.fence, 7)}
    assert [piece.more for piece in pieces] == [True] * (len(pieces) - 1) + [False]
