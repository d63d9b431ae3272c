"""The models are what the contracts say: strict, immutable, classified, and the same bytes on the wire."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hub.events.generated import MODELS, model_for
from hub.events.model import EPOCH, EventData, from_micros, to_micros
from hub.registry import generate
from hub.registry.codec import decode, encode
from hub.registry.schemas import Registry, Schema

PAID = {
    "council": "E08000025",
    "licence_reference": "PL/1",
    "payment_id": "hu20sqlact5260q2nanm0q8u93",
    "amount": 19000,
    "currency": "GBP",
    "paid_at": datetime(2026, 11, 24, 9, 30, 15, 123457, tzinfo=UTC),
}


@pytest.fixture
def fee_paid() -> type[EventData]:
    return model_for("licensing.fee.paid")


def test_the_committed_models_are_what_the_contracts_give(registry: Registry) -> None:
    assert generate.check(registry) == []
    assert list(MODELS) == registry.types()


def test_a_model_that_was_edited_missing_or_left_over_is_drift(registry: Registry, tmp_path: Path) -> None:
    target = tmp_path / "generated"
    shutil.copytree(generate.TARGET, target, ignore=shutil.ignore_patterns("__pycache__"))
    assert generate.check(registry, target) == []
    file = target / "payments.py"
    file.write_text(file.read_text().replace("amount: Long", "amount: float", 1))
    (target / "licensing.py").unlink()
    (target / "housing.py").write_text("")
    found = generate.check(registry, target)
    assert [problem.file.rpartition("/")[2] for problem in found] == [
        "housing.py",
        "licensing.py",
        "payments.py",
    ]
    assert all("--write" in problem.remedy for problem in found)
    assert generate.write(registry, target) == ["housing.py", "licensing.py", "payments.py"]
    assert generate.check(registry, target) == []


def test_the_generated_text_is_as_the_formatter_and_the_linter_leave_it(root: Path) -> None:
    for command in (["format", "--check"], ["check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "hub/events/generated"]
        done = subprocess.run(ruff, cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("type", MODELS)
def test_a_model_has_the_fields_docs_and_classifications_of_its_contract(
    registry: Registry, type: str
) -> None:
    schema, model = registry.by_type(type), model_for(type)
    assert model.type == type
    assert [
        (name, field.description, field.json_schema_extra) for name, field in model.model_fields.items()
    ] == [(f.name, f.doc, {"classification": f.classification.value}) for f in schema.fields]


def test_an_event_goes_to_the_wire_and_comes_back(registry: Registry, fee_paid: type[EventData]) -> None:
    event = fee_paid(**PAID)
    schema = registry.by_type(event.type)
    data = event.to_avro()
    assert data["paid_at"] == 1_795_512_615_123_457
    assert decode(encode(schema, data), registry) == (schema, data)
    assert fee_paid.from_avro(data) == event


@settings(max_examples=100, deadline=None)
@given(st.datetimes(timezones=st.timezones()))
def test_every_time_survives_to_the_microsecond(time: datetime) -> None:
    try:
        instant = time.astimezone(UTC)  # Python calls no two zones equal around a change of the clocks
    except OverflowError:
        return  # its UTC is outside the calendar
    assert from_micros(to_micros(time)) == instant


def test_a_time_of_another_zone_is_the_same_instant(fee_paid: type[EventData]) -> None:
    summer = PAID["paid_at"].astimezone(timezone(timedelta(hours=1)))
    assert fee_paid(**{**PAID, "paid_at": summer}).to_avro() == fee_paid(**PAID).to_avro()
    assert from_micros(-1) == EPOCH - timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("amount", 190.0),
        ("amount", True),
        ("amount", "19000"),
        ("amount", 2**63),
        ("amount", None),
        ("paid_at", datetime(2026, 1, 1)),  # noqa: DTZ001 - without a zone is the point
        ("paid_at", "2026-01-01T00:00:00Z"),
        ("paid_at", 1_795_512_615_123_457),
        ("payment_id", 5),
        ("surname", "tracer-3f9a"),
    ],
)
def test_a_wrong_value_is_refused_where_it_is_made_and_not_shown(
    fee_paid: type[EventData], field: str, wrong: Any
) -> None:
    with pytest.raises(ValidationError) as refusal:
        fee_paid(**{**PAID, field: wrong})
    assert {error["loc"][0] for error in refusal.value.errors(include_input=False)} == {field}
    assert "tracer-3f9a" not in str(refusal.value)


def test_an_event_is_a_fact_and_does_not_change(fee_paid: type[EventData]) -> None:
    event = fee_paid(**PAID)
    with pytest.raises(ValidationError):
        event.amount = 1  # type: ignore[attr-defined]


def test_a_time_that_no_calendar_has_is_refused_by_name(fee_paid: type[EventData]) -> None:
    data = {**fee_paid(**PAID).to_avro(), "paid_at": 2**62}
    with pytest.raises(ValueError, match="paid_at: time is outside"):
        fee_paid.from_avro(data)


def test_nested_records_lists_enums_and_bytes_become_models_too(tmp_path: Path) -> None:
    def field(name: str, type: Any, **more: Any) -> dict[str, Any]:
        return {"name": name, "type": type, "doc": f"The {name}.", "classification": "internal", **more}

    when = {"type": "long", "logicalType": "timestamp-micros"}
    colour = {"type": "enum", "name": "Colour", "symbols": ["RED", "BLUE"]}
    stop = {
        "type": "record",
        "name": "Stop",
        "doc": "A stop.",
        "fields": [field("left_at", ["null", when], default=None), field("colour", colour)],
    }
    definition = {
        "type": "record", "name": "TripMade", "namespace": "uk.hub.test", "doc": "A trip was made.",
        "fields": [
            field("stops", {"type": "array", "items": stop}),
            field("proof", "bytes"),
            field("count", "int"),
            field("km", "double"),
            field("marks", {"type": "map", "values": when}, default={}),
        ],
    }  # fmt: skip
    schema = Schema.of(1, "test.trip.made", 1, definition)
    text = generate.files(Registry([schema]))["test.py"]
    file = tmp_path / "generated_test.py"
    file.write_text(text)
    formatted = [sys.executable, "-m", "ruff", "format", "--check", "--line-length", "110", str(file)]
    assert subprocess.run(formatted, capture_output=True, check=False).returncode == 0
    space: dict[str, Any] = {"__name__": "generated_test"}
    exec(compile(text, str(file), "exec", dont_inherit=True), space)
    trip = space["TripMade"](
        stops=[space["Stop"](left_at=PAID["paid_at"], colour="RED"), space["Stop"](colour="BLUE")],
        proof=b"\x00", count=2, km=1.5, marks={"start": PAID["paid_at"]},
    )  # fmt: skip
    data = trip.to_avro()
    assert data["stops"][0] == {"left_at": to_micros(PAID["paid_at"]), "colour": "RED"}
    assert json.dumps(data["marks"]) == f'{{"start": {to_micros(PAID["paid_at"])}}}'
    assert decode(encode(schema, data), Registry([schema])) == (schema, data)
    assert space["TripMade"].from_avro(data) == trip
    for wrong in ({"colour": "GREEN"}, {"colour": 1}):
        with pytest.raises(ValidationError):
            space["Stop"](**wrong)
