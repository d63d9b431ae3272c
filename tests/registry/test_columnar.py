"""A batch read as columns is what its values are one by one, for any schema, for good values and for bad ones."""

from __future__ import annotations

from itertools import count
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.registry import codec
from hub.registry.codec import CodecError
from hub.registry.columnar import decode_batch, encode_batch, plain_rows
from hub.registry.schemas import Registry, Schema

PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=80),
    "long": st.integers(-(2**63), 2**63 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "boolean": st.booleans(),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=20),
    "null": st.none(),
}
NUMBERS = count()  # of named types, which must differ
Typed = tuple[Any, st.SearchStrategy[Any]]


@st.composite
def types(draw: st.DrawFn, depth: int = 2) -> Typed:
    """An Avro type, and what gives values of it."""
    kinds = ["primitive", "primitive", "nullable", "enum"]
    kind = draw(st.sampled_from(kinds + (["record", "array", "map"] if depth else [])))
    if kind == "primitive":
        name = draw(st.sampled_from(sorted(PRIMITIVES)))
        return name, PRIMITIVES[name]
    if kind == "enum":
        name = f"E{next(NUMBERS)}"
        return {"type": "enum", "name": name, "symbols": ["RED", "BLUE"]}, st.sampled_from(["RED", "BLUE"])
    if kind == "record":
        return draw(records(depth - 1))
    inner, values = draw(types(depth - 1).filter(lambda typed: not _may_be_null(typed[0])))
    if kind == "nullable":
        return ["null", inner], st.none() | values
    if kind == "array" and not _may_take_no_bytes(inner):
        return {"type": "array", "items": inner}, st.lists(values, max_size=4)
    return {"type": "map", "values": inner}, st.dictionaries(st.text(max_size=5), values, max_size=4)


def _may_be_null(kind: Any) -> bool:
    return kind == "null" or isinstance(kind, list)


def _may_take_no_bytes(kind: Any) -> bool:
    """An array of such values is no schema of the registry's: a few bytes could claim millions."""
    if isinstance(kind, dict) and kind["type"] == "record":
        return all(_may_take_no_bytes(field["type"]) for field in kind["fields"])
    return bool(kind == "null")


@st.composite
def records(draw: st.DrawFn, depth: int = 2) -> Typed:
    fields = {f"f{at}": draw(types(depth)) for at in range(draw(st.integers(1, 4)))}
    name = f"R{next(NUMBERS)}"
    definition = [{"name": field, "type": type} for field, (type, _) in fields.items()]
    values = st.fixed_dictionaries({field: values for field, (_, values) in fields.items()})
    return {"type": "record", "name": name, "fields": definition}, values


def one_by_one(values: list[bytes], registry: Registry) -> tuple[list[dict[str, Any]], list[tuple[int, str]]]:
    rows, faults = [], []
    for row, value in enumerate(values):
        try:
            rows.append(codec.decode(value, registry)[1])
        except CodecError as error:
            faults.append((row, str(error)))
    return rows, faults


def schema_of(definition: dict[str, Any], id: int = 7, name: str = "made") -> Schema:
    return Schema.of(id, f"test.batch.{name}", 1, {**definition, "namespace": "test.batch", "name": name})


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_batch_is_what_its_values_are_one_by_one_and_goes_back_to_the_same_bytes(
    data: st.DataObject,
) -> None:
    definition, rows = data.draw(records())
    schema = schema_of(definition)
    given_rows = data.draw(st.lists(rows, min_size=1, max_size=6))
    values = [codec.encode(schema, row) for row in given_rows]
    batch, places, faults = decode_batch(schema, values, Registry([schema]))
    assert not faults
    assert places == list(range(len(values)))
    written, faults = encode_batch(schema, pa.Table.from_batches([batch]))
    assert not faults
    assert written.to_list() == values


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_spoilt_value_is_judged_as_it_would_be_alone_and_the_others_go_on(data: st.DataObject) -> None:
    definition, rows = data.draw(records(depth=1))
    schema = schema_of(definition)
    values = [codec.encode(schema, data.draw(rows)) for _ in range(data.draw(st.integers(1, 5)))]
    at = data.draw(st.integers(0, len(values) - 1))
    spoilt = bytearray(values[at])
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(spoilt)))
        match data.draw(st.sampled_from(["change", "cut", "add"])):
            case "change":
                spoilt[place : place + 1] = data.draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del spoilt[place:]
            case "add":
                spoilt[place:place] = data.draw(st.binary(max_size=10))
    values[at] = bytes(spoilt)
    registry = Registry([schema])
    batch, _, faults = decode_batch(schema, values, registry)
    expected, reasons = one_by_one(values, registry)
    assert [(row, str(error)) for row, error in faults] == reasons
    assert repr(plain_rows(batch)) == repr(expected)


def test_among_many_values_every_bad_one_is_named_and_no_other() -> None:
    schema = schema_of({"type": "record", "name": "R", "fields": [{"name": "text", "type": "string"}]})
    values = [codec.encode(schema, {"text": str(number)}) for number in range(1000)]
    for row in (0, 1, 500, 999):
        values[row] += b"x"
    batch, places, faults = decode_batch(schema, values, Registry([schema]))
    assert [row for row, _ in faults] == [0, 1, 500, 999]
    assert batch.column("text").to_pylist() == [str(row) for row in places]


LINES = {
    "name": "lines",
    "type": {
        "type": "array",
        "items": {
            "type": "record",
            "name": "Line",
            "fields": [
                {"name": "tags", "type": {"type": "map", "values": "string"}},
                {"name": "notes", "type": {"type": "array", "items": "string"}},
            ],
        },
    },
}
ITEMS = {"lines": [{"tags": {"a": "b"}, "notes": ["c"]}]}


def test_a_bad_value_among_many_with_lists_is_one_refused() -> None:
    schema = schema_of({"type": "record", "name": "R", "fields": [LINES]})
    values = [codec.encode(schema, ITEMS) for _ in range(100)]
    values[57] = values[57][:-3]
    batch, places, faults = decode_batch(schema, values, Registry([schema]))
    assert [row for row, _ in faults] == [57]
    assert places == [row for row in range(100) if row != 57]
    assert plain_rows(batch) == [ITEMS] * 99


def test_many_values_with_lists_may_be_of_two_versions() -> None:
    added = {"name": "more", "type": ["null", "string"], "default": None}
    old = schema_of({"type": "record", "fields": [LINES]}, 1)
    new = schema_of({"type": "record", "fields": [LINES, added]}, 2)
    values = [codec.encode(new, {**ITEMS, "more": "z"}) for _ in range(100)]
    values[3] = codec.encode(old, ITEMS)
    batch, _, faults = decode_batch(new, values, Registry([old, new]))
    assert not faults
    assert [row["more"] for row in plain_rows(batch)] == ["z"] * 3 + [None] + ["z"] * 96


def part(name: str) -> list[Any]:
    fields = [{"name": "number", "type": "long"}]
    return ["null", {"type": "record", "name": name, "fields": fields}]


WHOLE = {
    "type": "record",
    "name": "Whole",
    "fields": [
        {"name": "note", "type": "string"},
        {"name": "one", "type": part("One")},
        {"name": "some", "type": {"type": "array", "items": part("Some")}},
        {"name": "named", "type": {"type": "map", "values": part("Named")}},
    ],
}
WHOLES = [
    {"whole": None},
    {"whole": {"note": "a", "one": None, "some": [None], "named": {"b": None}}},
    {
        "whole": {
            "note": "c",
            "one": {"number": 7},
            "some": [{"number": 8}, None],
            "named": {"d": {"number": 9}},
        }
    },
] * 20


def test_a_batch_with_records_that_are_null_is_read_in_columns_like_any_other() -> None:
    schema = schema_of({"type": "record", "fields": [{"name": "whole", "type": ["null", WHOLE]}]})
    values = [codec.encode(schema, row) for row in WHOLES]
    batch, _, faults = decode_batch(schema, values, Registry([]))  # which could read none of them one by one
    assert not faults
    assert plain_rows(batch) == WHOLES
    values[30] += b"x"
    batch, places, faults = decode_batch(schema, values, Registry([schema]))
    assert [row for row, _ in faults] == [30]
    assert plain_rows(batch) == [WHOLES[row] for row in places]


def test_text_that_is_not_utf8_is_refused_in_a_batch_too() -> None:
    schema = schema_of({"type": "record", "name": "R", "fields": [{"name": "text", "type": "string"}]})
    good = codec.encode(schema, {"text": "abc"})
    batch, _, faults = decode_batch(schema, [good, good[:-1] + b"\xff", good], Registry([schema]))
    assert [row for row, _ in faults] == [1]
    assert batch.column("text").to_pylist() == ["abc", "abc"]


def test_a_null_where_none_may_be_is_refused_and_costs_only_its_row() -> None:
    schema = schema_of({"type": "record", "name": "R", "fields": [{"name": "text", "type": "string"}]})
    written, faults = encode_batch(schema, pa.table({"text": ["a", None, "c"]}))
    assert [(row, error.field) for row, error in faults] == [(1, "text")]
    a, c = (codec.encode(schema, {"text": text}) for text in ("a", "c"))
    assert written.to_list() == [a, None, c]


def test_a_value_of_another_type_than_the_envelope_says_is_refused() -> None:
    text = {"type": "record", "name": "R", "fields": [{"name": "text", "type": "string"}]}
    mine, other = schema_of(text, 1, "mine"), schema_of(text, 2, "other")
    _, _, ((row, error),) = decode_batch(mine, [codec.encode(other, {"text": "x"})], Registry([mine, other]))
    assert row == 0
    assert "is of test.batch.other, not of test.batch.mine" in str(error)


def test_a_value_of_an_older_version_is_read_as_the_newest_reads_it() -> None:
    field = {"name": "text", "type": "string"}
    added = {"name": "more", "type": ["null", "string"], "default": None}
    old = schema_of({"type": "record", "fields": [field]}, 1)
    new = schema_of({"type": "record", "fields": [field, added]}, 2)
    values = [codec.encode(old, {"text": "x"}), codec.encode(new, {"text": "y", "more": "z"})]
    batch, _, faults = decode_batch(new, values, Registry([old, new]))
    assert not faults
    assert plain_rows(batch) == [{"text": "x", "more": None}, {"text": "y", "more": "z"}]
