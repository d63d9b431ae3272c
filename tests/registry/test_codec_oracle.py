"""The official `avro` package is the oracle: same bytes for the same data, whatever the data."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import avro.io
import avro.schema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.events.model import to_micros
from hub.registry.codec import decode, encode
from hub.registry.schemas import Registry, Schema

REGISTRY = Registry.load(Path(__file__).parents[2] / "schemas")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "long": st.integers(-(2**63), 2**63 - 1),
    "int": st.integers(-(2**31), 2**31 - 1),
    "boolean": st.booleans(),
    "null": st.none(),
    "double": st.floats(allow_nan=False),
    "bytes": st.binary(max_size=40),
}


def values_of(type: Any) -> st.SearchStrategy[Any]:
    """Any value that an Avro type takes."""
    if isinstance(type, list):
        return st.one_of([values_of(branch) for branch in type])
    if isinstance(type, str):
        return PRIMITIVES[type]
    if type["type"] == "record":
        return st.fixed_dictionaries({f["name"]: values_of(f["type"]) for f in type["fields"]})
    if type["type"] == "map":
        return st.dictionaries(TEXT, values_of(type["values"]), max_size=15)
    if type["type"] == "array":
        return st.lists(values_of(type["items"]), max_size=15)
    if type["type"] == "enum":
        return st.sampled_from(type["symbols"])
    return values_of(type["type"])


def without_logical_types(type: Any) -> Any:
    """The oracle takes a datetime for a logical time; on the wire it is a long."""
    if isinstance(type, dict):
        return {k: without_logical_types(v) for k, v in type.items() if k != "logicalType"}
    return [without_logical_types(each) for each in type] if isinstance(type, list) else type


def by_oracle(schema: Schema, data: dict[str, Any], bare: bool = True) -> bytes:
    definition = without_logical_types(schema.definition) if bare else schema.definition
    parsed = avro.schema.parse(json.dumps(definition))
    out = io.BytesIO()
    avro.io.DatumWriter(parsed).write(data, avro.io.BinaryEncoder(out))
    return b"\x00" + schema.id.to_bytes(4, "big") + out.getvalue()


@pytest.mark.parametrize("type", REGISTRY.types())
def test_our_bytes_are_those_of_the_official_package(type: str) -> None:
    schema = REGISTRY.by_type(type)

    @settings(max_examples=40, deadline=None)
    @given(values_of(schema.definition))
    def holds(data: dict[str, Any]) -> None:
        value = encode(schema, data)
        assert value == by_oracle(schema, data)
        assert decode(value, REGISTRY) == (schema, data)

    holds()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_bytes_from_anywhere_are_a_value_or_a_codec_error(noise: bytes) -> None:
    from hub.registry.codec import CodecError

    try:
        schema, data = decode(b"\x00\x00\x00\x00\x02" + noise, REGISTRY)
    except CodecError:
        return
    assert decode(encode(schema, data), REGISTRY) == (schema, data)


def test_a_time_as_micros_is_what_the_oracle_makes_of_a_datetime() -> None:
    schema = REGISTRY.by_type("licensing.fee.paid")
    paid = datetime(2026, 11, 24, 9, 30, 15, 123457, tzinfo=UTC)
    data = {
        "council": "E08000025",
        "licence_reference": "PL/1",
        "payment_id": "p",
        "amount": 19000,
        "currency": "GBP",
        "licence_type": None,
        "ledger_code": "AB100",
    }
    ours = encode(schema, {**data, "paid_at": to_micros(paid)})
    assert ours == by_oracle(schema, {**data, "paid_at": paid}, bare=False)
