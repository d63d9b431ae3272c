"""What goes on the wire is exactly what was given, and what comes off it is exactly what was put there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pytest

from hub.registry.codec import MAX_BYTES, CodecError, decode, encode, schema_id
from hub.registry.readable import readable
from hub.registry.schemas import Registry, Schema
from hub.registry.values import MAX_ITEMS

SECRET = "tracer-3f9a"


def as_wire_values(value: Any, type: Any) -> Any:
    """The vectors write bytes as hex."""
    if type == "bytes":
        return bytes.fromhex(value)
    if isinstance(type, dict) and type["type"] == "record":
        return {f["name"]: as_wire_values(value[f["name"]], f["type"]) for f in type["fields"]}
    return value


def test_published_vectors_of_the_wire_format_hold_both_ways(samples: Path) -> None:
    vectors = json.loads((samples / "confluent_wire_format" / "vectors.json").read_text())
    for case in vectors["cases"]:
        schema = Schema.of(case["schema_id"], "test.vector.given", 1, case["schema"])
        data, wire = as_wire_values(case["value"], case["schema"]), bytes.fromhex(case["wire_hex"])
        assert encode(schema, data) == wire
        assert decode(wire, Registry([schema])) == (schema, data)
    for case in vectors["negative"]:
        with pytest.raises(CodecError):
            decode(bytes.fromhex(case["wire_hex"]), Registry([schema]))


def test_a_captured_payment_comes_back_as_it_was(
    registry: Registry, captured: Schema, payment: dict[str, Any]
) -> None:
    value = encode(captured, payment)
    assert schema_id(value) == captured.id
    assert decode(value, registry) == (captured, payment)


@pytest.mark.parametrize(
    ("field", "wrong", "reason"),
    [
        ("amount", 12.99, "float where the schema takes int"),
        ("amount", 12.0, "float where the schema takes int"),
        ("amount", True, "bool where the schema takes int"),
        ("amount", SECRET, "str where the schema takes int"),
        ("amount", None, "null where the schema takes none"),
        ("amount", 2**63, "outside the range of long"),
        ("fee", False, "bool where the schema takes int"),
        ("fee", -(2**63) - 1, "outside the range of long"),
        ("moto", 1, "int where the schema takes bool"),
        ("reference", b"bytes", "bytes where the schema takes str"),
        ("reference", "half a pair \ud83d", "text that is not valid Unicode"),
        ("metadata", {"note": "half a pair \ud83d"}, "text that is not valid Unicode"),
        ("metadata", {SECRET: 5}, "int where the schema takes str"),
        ("metadata", {5: SECRET}, "a key that is not text"),
        ("metadata", [(SECRET, SECRET)], "list where the schema takes dict"),
        ("metadata", {str(n): "" for n in range(MAX_ITEMS + 1)}, f"more than {MAX_ITEMS} items"),
        ("surname", SECRET, "unknown field"),
    ],
)
def test_a_value_of_another_type_is_refused_by_the_name_of_its_field_and_never_shown(
    captured: Schema, payment: dict[str, Any], field: str, wrong: Any, reason: str
) -> None:
    with pytest.raises(CodecError) as refusal:
        encode(captured, {**payment, field: wrong})
    assert refusal.value.field.partition(".")[0] == field
    assert refusal.value.reason == reason
    assert SECRET not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__


def test_a_naive_time_is_refused_since_times_are_micros_here(
    captured: Schema, payment: dict[str, Any]
) -> None:
    from datetime import datetime

    with pytest.raises(CodecError, match="created_at: datetime where the schema takes int"):
        encode(captured, {**payment, "created_at": datetime(2026, 1, 1)})  # noqa: DTZ001


def test_a_missing_field_is_refused_even_where_readers_have_a_default(
    captured: Schema, payment: dict[str, Any]
) -> None:
    del payment["fee"]
    with pytest.raises(CodecError, match="fee: missing"):
        encode(captured, payment)


def test_a_wrong_value_deep_inside_is_found(schema_of: Callable[..., Schema]) -> None:
    line = {"type": "record", "name": "Line", "fields": [{"name": "pence", "type": "long"}]}
    schema = schema_of(("lines", {"type": "array", "items": line}))
    assert decode(encode(schema, {"lines": [{"pence": 1}]}), Registry([schema]))[1] == {
        "lines": [{"pence": 1}]
    }
    with pytest.raises(CodecError, match=r"lines\.1\.pence: float"):
        encode(schema, {"lines": [{"pence": 1}, {"pence": 1.5}]})


@pytest.mark.parametrize(
    ("type", "good", "bad"),
    [
        ("int", [-(2**31), 2**31 - 1], [2**31, True, 1.0]),
        ("double", [1.5, 3, -0.0, math.inf], [True, "1", 10**400]),
        ("float", [0.5], [1e300, False]),
        ("bytes", [b"\x00\xff"], ["text", bytearray(b"x")]),
        ({"type": "enum", "name": "Colour", "symbols": ["RED"]}, ["RED"], ["BLUE", 0]),
        ({"type": "fixed", "name": "Two", "size": 2}, [b"ab"], [b"abc", "ab"]),
        (["null", {"type": "enum", "name": "Maybe", "symbols": ["YES"]}], [None, "YES"], ["NO"]),
        ({"type": "array", "items": ["null", "long"]}, [[None, 1]], [[1.5], (1,), [True]]),
    ],
)
def test_every_kind_of_type_takes_its_own_values_alone(
    schema_of: Callable[..., Schema], type: Any, good: list[Any], bad: list[Any]
) -> None:
    schema = schema_of(("thing", type))
    for value in good:
        assert decode(encode(schema, {"thing": value}), Registry([schema]))[1] == {"thing": value}
    for value in bad:
        with pytest.raises(CodecError, match="thing"):
            encode(schema, {"thing": value})


def test_a_value_cut_short_anywhere_is_refused(
    registry: Registry, captured: Schema, payment: dict[str, Any]
) -> None:
    value = encode(captured, payment)
    for length in range(len(value)):
        with pytest.raises(CodecError):
            decode(value[:length], registry)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda value: value + b"\x00", "more bytes than the schema takes"),
        (lambda value: b"\x02" + value[1:], "unknown magic byte 2"),
        (lambda value: b"\xff" + value[1:], "unknown magic byte 255"),
        (lambda value: b"\x00\x00\x0f\x42\x3f" + value[5:], "unknown schema id 999999"),
        (lambda value: b"\x00\xff\xff\xff\xff" + value[5:], "unknown schema id 4294967295"),
        (lambda value: value + bytes(MAX_BYTES), f"longer than {MAX_BYTES} bytes"),
        (lambda value: value[:5] + b"\x80" * 12, "truncated"),
    ],
)
def test_bytes_that_are_no_whole_value_are_refused_with_the_reason(
    registry: Registry, captured: Schema, payment: dict[str, Any], spoil: Any, reason: str
) -> None:
    with pytest.raises(CodecError) as refusal:
        decode(spoil(encode(captured, payment)), registry)
    assert refusal.value.reason == reason


def test_a_value_that_would_be_too_long_is_not_written(captured: Schema, payment: dict[str, Any]) -> None:
    with pytest.raises(CodecError, match="longer than"):
        encode(captured, {**payment, "description": "x" * MAX_BYTES})


def test_a_few_bytes_cannot_claim_millions_of_items(schema_of: Callable[..., Schema]) -> None:
    bomb = b"\x00\x00\x00\x00\x4d" + b"\x80\x96\x98\x80\x04\x00"
    for items in ("null", {"type": "record", "name": "Empty", "fields": []}):
        schema = schema_of(("things", {"type": "array", "items": items}))
        with pytest.raises(CodecError, match="items take no bytes"):
            decode(bomb, Registry([schema]))
    many = schema_of(("things", {"type": "array", "items": "boolean"}))
    with pytest.raises(CodecError, match=f"things: more than {MAX_ITEMS} items"):
        decode(
            b"\x00\x00\x00\x00\x4d" + fastavro_bytes(many, {"things": [True] * (MAX_ITEMS + 1)}),
            Registry([many]),
        )


def test_a_schema_of_unbounded_depth_is_not_used(schema_of: Callable[..., Schema]) -> None:
    schema = schema_of(("next", ["null", "ThingDone"]))
    with pytest.raises(CodecError, match="recursive"):
        encode(schema, {"next": {"next": None}})


def test_a_number_longer_than_its_type_is_refused(schema_of: Callable[..., Schema]) -> None:
    schema = schema_of(("count", "int"))
    wide = schema_of(("count", "long"))
    with pytest.raises(CodecError, match="count: outside the range of int"):
        decode(encode(wide, {"count": 2**40}), Registry([schema]))


MOMENT = {"type": "long", "logicalType": "timestamp-micros"}


def test_times_are_text_for_people_however_deep_they_are(schema_of: Callable[..., Schema]) -> None:
    visit = {"type": "record", "name": "Visit", "fields": [{"name": "paid_at", "type": ["null", MOMENT]}]}
    schema = schema_of(
        ("visit", visit),
        ("visits", {"type": "array", "items": visit}),
        ("by_day", {"type": "map", "values": MOMENT}),
    )
    data = {"visit": {"paid_at": None}, "visits": [{"paid_at": 0}], "by_day": {"Monday": 1}}
    assert readable(schema, data) == {
        "visit": {"paid_at": None},
        "visits": [{"paid_at": "1970-01-01T00:00:00Z"}],
        "by_day": {"Monday": "1970-01-01T00:00:00.000001Z"},
    }
    assert data["by_day"] == {"Monday": 1}
    with pytest.raises(CodecError, match=r"visits\.1\.paid_at: a time outside the years 1 to 9999"):
        readable(schema, {**data, "visits": [{"paid_at": 0}, {"paid_at": 2**62}]})


def test_an_old_value_is_read_as_the_newest_version_where_asked() -> None:
    fields = [{"name": "a", "type": "string"}]
    head = {"type": "record", "name": "ThingDone", "namespace": "uk.hub.test"}
    added = {"name": "b", "type": ["null", "string"], "default": None}
    old = Schema.of(1, "test.thing.done", 1, {**head, "fields": fields})
    new = Schema.of(2, "test.thing.done", 2, {**head, "fields": [added, *fields]})
    both = Registry([old, new])
    value = encode(old, {"a": "x"})
    assert decode(value, both) == (old, {"a": "x"})
    assert decode(value, both, latest=True) == (new, {"a": "x", "b": None})


def fastavro_bytes(schema: Schema, data: dict[str, Any]) -> bytes:
    from io import BytesIO

    out = BytesIO()
    fastavro.schemaless_writer(out, schema.definition, data)
    return out.getvalue()
