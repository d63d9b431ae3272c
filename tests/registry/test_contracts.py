"""Every contract says what it holds and how it is to be guarded, and a wrong one is refused with a remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import avro.schema
import pytest

from hub.events.model import Classification
from hub.registry.contract import read, record_name
from hub.registry.schemas import Registry, contracts, fingerprint

FIRST = """
licensing.fee.paid payments.payment.captured payments.payment.created payments.payment.expired
payments.payment.failed payments.payment.refunded payments.payment.succeeded
payments.refund.failed payments.refund.submitted payments.refund.succeeded
""".split()


def test_the_first_contracts_are_there(registry: Registry) -> None:
    assert set(FIRST) <= set(registry.types())


def test_every_field_of_every_contract_has_a_doc_and_a_classification(registry: Registry) -> None:
    for schema in map(registry.by_type, registry.types()):
        assert schema.definition["doc"]
        for field in schema.fields:
            assert field.doc, f"{schema.type}: {field.name}"
            assert field.classification in Classification


def test_every_contract_is_avro_by_the_official_parser(root: Path) -> None:
    for file in contracts(root / "schemas"):
        assert avro.schema.parse(file.read_text("utf-8")).type == "record"


def test_fields_of_one_name_mean_the_same_in_all_contracts_of_a_domain(registry: Registry) -> None:
    seen: dict[tuple[str, str, str], tuple[Any, str]] = {}
    for schema in map(registry.by_type, registry.types()):
        domain, entity, _ = schema.type.split(".")
        for field in schema.fields:
            meant = (field.type, field.classification)
            assert seen.setdefault((domain, entity, field.name), meant) == meant


def test_whatever_names_a_person_is_personal_and_no_card_number_has_a_place(registry: Registry) -> None:
    for schema in map(registry.by_type, registry.types()):
        for field in schema.fields:
            if any(word in field.name for word in ("email", "payer", "metadata", "card_")) and (
                field.name != "corporate_card_surcharge"
            ):
                assert field.classification is Classification.PERSONAL
            assert not any(word in field.name for word in ("digits", "cardholder", "expiry", "cvc"))


def test_fee_paid_tells_nothing_about_the_payer(registry: Registry) -> None:
    fields = registry.by_type("licensing.fee.paid").fields
    assert all(f.classification in (Classification.PUBLIC, Classification.INTERNAL) for f in fields)


def test_a_schema_is_known_by_type_by_id_and_by_subject(registry: Registry) -> None:
    schema = registry.by_type("payments.payment.captured")
    assert registry.by_id(schema.id) is schema
    assert schema.subject == "uk.hub.payments.PaymentCaptured"
    assert registry.versions(schema.subject) == [schema]
    assert registry.latest(schema) is schema
    assert json.loads(schema.text) == schema.definition
    assert len(fingerprint(schema.text)) == 64
    for unknown in (lambda: registry.by_type("payments.payment.stolen"), lambda: registry.by_id(9999)):
        with pytest.raises(LookupError):
            unknown()


def test_the_record_is_named_after_the_file() -> None:
    assert record_name("licensing.premises-licence.granted") == ("uk.hub.licensing", "PremisesLicenceGranted")
    assert record_name("council-tax.bill.sent") == ("uk.hub.council_tax", "BillSent")


GOOD = {"name": "reference", "type": "string", "doc": "Theirs.", "classification": "internal"}


def contract(*fields: dict[str, Any], **head: Any) -> str:
    start = {"type": "record", "name": "ThingDone", "namespace": "uk.hub.test", "doc": "A thing was done."}
    return json.dumps({**start, **head, "fields": list(fields)}, indent=1)


def with_type(name: str, type: Any, **more: Any) -> dict[str, Any]:
    return {**GOOD, "name": name, "type": type, **more}


LINE = {"type": "record", "name": "Line", "fields": [with_type("a", "long")]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{\n\n", "not JSON"),
        ('{"type": "record", "type": "record"}', "a key stands twice"),
        ('"string"', "one Avro record"),
        ("[]", "one Avro record"),
        ('{"type": "record", "name": "ThingDone"}', "not an Avro schema"),
        (contract({**GOOD, "type": "strnig"}), "not an Avro schema"),
        (contract(GOOD, GOOD), "not an Avro schema"),
        (contract(GOOD, name="ThingsDone"), "does not follow the file's"),
        (contract(GOOD, namespace="uk.hub.tset"), "does not follow the file's"),
        (contract(GOOD, doc=""), "the record has no doc"),
        (contract({**GOOD, "doc": ""}), "field reference: has no doc"),
        (contract({**GOOD, "classification": "secret"}), "field reference: has no classification"),
        (contract({k: v for k, v in GOOD.items() if k != "classification"}), "has no classification"),
        (contract(with_type("paid_at", "long")), "field paid_at: is a time of another type"),
        (contract(with_type("paid_at", ["null", "string"], default=None)), "is a time of another type"),
        (contract(with_type("payment_id", "long")), "field payment_id: is an id of another type"),
        (contract(with_type("amount", "double")), "field amount: is money of another type"),
        (contract(with_type("note", ["null", "string"])), "not simply nullable"),
        (contract(with_type("note", ["string", "null"], default="x")), "not simply nullable"),
        (contract(with_type("note", ["null", "string", "long"], default=None)), "not simply nullable"),
        (contract(with_type("parts", {"type": "array", "items": "null"})), "items that may be null"),
        (
            contract(with_type("sum", {"type": "bytes", "logicalType": "decimal", "precision": 9})),
            "logical type",
        ),
        (contract(with_type("tag", {"type": "fixed", "name": "Tag", "size": 4})), "has the type 'fixed'"),
        (contract(with_type("next", ["null", "ThingDone"], default=None)), "refers to the named type"),
        (
            contract(
                with_type(
                    "line", {"type": "record", "name": "Line", "fields": [{"name": "a", "type": "long"}]}
                )
            ),
            "field line.a: has no doc",
        ),
        *(
            (contract(with_type("thing", type, default=default)), "field thing: has a default")
            for type, default in [
                ("long", "abc"),
                ("long", True),
                ("int", 3_000_000_000),
                ("string", None),
                ("bytes", "text"),
                ({"type": "enum", "name": "Colour", "symbols": ["RED"]}, "BLUE"),
                (LINE, {}),
                ({"type": "map", "values": "string"}, {"a": 1}),
                ({"type": "array", "items": "string"}, [1]),
            ]
        ),
        (
            contract(with_type("line", {**LINE, "fields": [with_type("a", "long", default="x")]})),
            "field line.a: has a default",
        ),
        (
            contract(with_type("lines", {"type": "array", "items": {**LINE, "fields": []}})),
            "items take no bytes",
        ),
    ],
)
def test_a_wrong_contract_is_refused_with_file_field_and_remedy(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "schemas" / "test" / "thing.done.avsc"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    problems = read(file, tmp_path / "schemas")[1]
    assert any(message in str(problem) for problem in problems), [str(p) for p in problems]
    assert all(each.file == "schemas/test/thing.done.avsc" and each.remedy for each in problems)


def test_a_right_contract_has_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "schemas" / "test" / "thing.done.avsc"
    file.parent.mkdir(parents=True)
    fields = [
        GOOD,
        with_type("note", ["null", "string"], default=None),
        with_type("line", LINE, default={"a": 1}),
        with_type(
            "tags", {"type": "map", "values": {"type": "array", "items": "string"}}, default={"a": ["b"]}
        ),
    ]
    file.write_text(contract(*fields))
    assert read(file, tmp_path / "schemas") == (json.loads(contract(*fields)), [])
    wrong = file.rename(file.with_name("Thing.done.avsc"))
    assert "no event type" in str(read(wrong, tmp_path / "schemas")[1][0])
