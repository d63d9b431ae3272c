"""An id stands for one schema for ever, and no change breaks a reader of what was written before."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.events.problem import Misconfigured
from hub.registry import lock
from hub.registry.__main__ import main
from hub.registry.codec import decode, encode
from hub.registry.compatibility import incompatibilities
from hub.registry.contract import TIME
from hub.registry.schemas import Registry

CAPTURED = "payments/payment.captured.avsc"


def field(definition: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in definition["fields"] if each["name"] == name)


def new_field(name: str, type: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type, "doc": "New.", "classification": "internal", **more}


def ids(registry: Registry) -> list[int]:
    return [one.id for subject in registry.subjects() for one in registry.versions(subject)]


def test_the_committed_contracts_and_their_lock_agree(root: Path) -> None:
    assert lock.check(root / "schemas") == []


def test_a_new_version_gets_the_next_id_and_the_old_ids_stay_readable(
    folder: Path, change: Any, payment: dict[str, Any]
) -> None:
    before = Registry.load(folder)
    old = before.by_type("payments.payment.captured")
    value = encode(old, payment)
    change(CAPTURED, lambda d: d["fields"].append(new_field("branch", ["null", "string"], default=None)))
    (new,) = lock.update(folder)
    after = Registry.load(folder)
    assert (new.id, new.version) == (max(ids(before)) + 1, 2)
    assert after.by_type("payments.payment.captured").id == new.id
    assert [after.by_id(each.id).text for each in map(before.by_type, before.types())] == [
        before.by_type(type).text for type in before.types()
    ]
    assert decode(value, after)[1] == payment
    assert decode(value, after, latest=True)[1] == {**payment, "branch": None}
    assert lock.check(folder) == []
    assert lock.update(folder) == []


def test_no_id_is_given_twice_however_many_versions_there_are(folder: Path, change: Any) -> None:
    given = ids(Registry.load(folder))
    for name in (CAPTURED, CAPTURED, "licensing/fee.paid.avsc"):
        change(name, lambda d: d.update(doc=d["doc"] + " More."))
        given += [schema.id for schema in lock.update(folder)]
    assert sorted(given) == list(range(1, len(given) + 1))
    assert [
        schema.version for schema in Registry.load(folder).versions("uk.hub.payments.PaymentCaptured")
    ] == [
        1,
        2,
        3,
    ]


def test_layout_and_order_of_keys_are_no_new_version(folder: Path) -> None:
    for file in folder.glob("*/*.avsc"):
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")), sort_keys=True), "utf-8")
    assert lock.check(folder) == []
    assert Registry.load(folder).types()


@pytest.mark.parametrize(
    ("edit", "name", "what"),
    [
        (lambda d: d["fields"].append(new_field("branch", "string")), "branch", "no default"),
        (lambda d: field(d, "reference").update(type="long"), "reference", "changed its type"),
        (
            lambda d: (
                field(d, "provider").update(name="psp", type="string", default="x")
                or field(d, "psp").pop("default")
            ),
            "psp",
            "no default",
        ),
        (lambda d: (field(d, "fee").pop("default"), field(d, "fee").update(type="long")), "fee", "type"),
    ],
)
def test_an_incompatible_change_is_refused_by_the_name_of_its_field(
    folder: Path, change: Any, edit: Callable[[dict[str, Any]], Any], name: str, what: str
) -> None:
    before = (folder / "schemas.lock").read_bytes()
    file = change(CAPTURED, edit)
    with pytest.raises(Misconfigured) as refusal:
        lock.update(folder)
    (problem,) = refusal.value.problems
    assert problem.file == f"schemas/{CAPTURED}"
    assert f'"{name}"' in file.read_text().splitlines()[problem.line - 1]
    assert f"field {name}: " in problem.message
    assert what in problem.message
    assert problem.remedy
    assert (folder / "schemas.lock").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("created", "long", TIME),
        ("created", ["null", TIME], ["null", "long"]),
        ("moments", {"type": "array", "items": TIME}, {"type": "array", "items": "long"}),
        ("moments", {"type": "map", "values": "long"}, {"type": "map", "values": TIME}),
    ],
)
def test_a_number_does_not_become_a_time_nor_a_time_a_number(name: str, before: Any, after: Any) -> None:
    def contract(type: Any) -> dict[str, Any]:
        inner = {"type": "record", "name": "Inner", "fields": [{"name": name, "type": type}]}
        return {"type": "record", "name": "A", "namespace": "n", "fields": [{"name": "inner", "type": inner}]}

    (found,) = incompatibilities(contract(after), contract(before))
    assert found.field.removesuffix("[]") == f"inner.{name}"
    assert found.what == "changed its logical type"
    assert incompatibilities(contract(after), contract(after)) == []


def test_two_event_types_do_not_share_a_record_name(folder: Path, change: Any) -> None:
    granted = folder / "licensing" / "taxi-licence.granted.avsc"
    twin = granted.with_name("taxi.licence-granted.avsc")
    twin.write_text(granted.read_text())
    with pytest.raises(Misconfigured) as refusal:
        lock.update(folder)
    assert [problem.file for problem in refusal.value.problems] == [
        "schemas/licensing/taxi.licence-granted.avsc"
    ]
    assert "that licensing.taxi-licence.granted gives its own" in str(refusal.value)
    (folder / "schemas.lock").unlink()  # of two that are both new, too
    with pytest.raises(Misconfigured, match=r"taxi\.licence-granted\.avsc: gives its record the name"):
        lock.update(folder)


def test_a_change_is_held_against_every_version_and_not_only_the_last(folder: Path, change: Any) -> None:
    change(CAPTURED, lambda d: d["fields"].append(new_field("branch", "string", default="none")))
    lock.update(folder)
    change(CAPTURED, lambda d: field(d, "branch").pop("default"))  # version 2 has it, version 1 has not
    with pytest.raises(Misconfigured, match="field branch: is new and has no default"):
        lock.update(folder)


def test_widening_and_dropping_are_compatible(folder: Path, change: Any) -> None:
    def edit(definition: dict[str, Any]) -> None:
        field(definition, "reference").update(type=["null", "string"], default=None)
        definition["fields"].remove(field(definition, "card_brand"))

    change(CAPTURED, edit)
    assert [schema.version for schema in lock.update(folder)] == [2]


def test_an_older_version_does_not_come_back_unseen(folder: Path, change: Any) -> None:
    first = (folder / CAPTURED).read_text()
    change(CAPTURED, lambda d: d.update(doc="Other words."))
    lock.update(folder)
    (folder / CAPTURED).write_text(first)
    with pytest.raises(Misconfigured, match="is version 1 again"):
        lock.update(folder)


def test_a_contract_that_is_not_locked_does_not_load(folder: Path, change: Any) -> None:
    change(CAPTURED, lambda d: d.update(doc="Other words."))
    with pytest.raises(Misconfigured, match=f"{CAPTURED}: has changed since it was locked"):
        Registry.load(folder)


def test_a_contract_that_is_taken_away_is_no_longer_published_but_still_read(
    folder: Path, payment: dict[str, Any]
) -> None:
    before = Registry.load(folder)
    value = encode(before.by_type("payments.payment.captured"), payment)
    (folder / CAPTURED).unlink()
    after = Registry.load(folder)
    assert "payments.payment.captured" not in after.types()
    with pytest.raises(LookupError):
        after.by_type("payments.payment.captured")
    assert decode(value, after)[1] == payment


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda text: text.replace('"id": 2,', '"id": 1,', 1), "one id stands for two schemas"),
        (lambda text: text.replace("PaymentCaptured", "PaymentStolen", 1), "was edited by hand"),
        (
            lambda text: text.replace('"classification": "personal"', '"classification": "public"', 1),
            "by hand",
        ),
        (lambda text: text[:-40], "cannot be read"),
        (lambda text: "[]", "cannot be read"),
    ],
)
def test_a_lock_file_that_was_tampered_with_is_refused(folder: Path, spoil: Any, message: str) -> None:
    file = folder / "schemas.lock"
    text = file.read_text("utf-8")
    assert spoil(text) != text
    file.write_text(spoil(text), "utf-8")
    with pytest.raises(Misconfigured, match=message):
        Registry.load(folder)
    assert any(message in problem.message for problem in lock.check(folder))


def test_a_folder_without_contracts_does_not_load(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="holds no contract"):
        Registry.load(tmp_path)


def test_the_command_says_what_is_wrong_and_mends_nothing_when_it_only_checks(
    folder: Path, change: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check", str(folder)]) == 0
    change(CAPTURED, lambda d: d.update(doc="Other words."))
    assert main(["--check", str(folder)]) == 1
    assert "payment.captured.avsc: has changed since it was locked" in capsys.readouterr().err
    change(CAPTURED, lambda d: field(d, "amount").update(type="string"))
    assert main(["--write", str(folder)]) == 1
    assert "field amount: is money of another type" in capsys.readouterr().err


def test_a_field_inside_a_nullable_record_is_judged_too() -> None:
    def contract(*fields: dict[str, Any]) -> dict[str, Any]:
        inner = {"type": "record", "name": "Address", "fields": list(fields)}
        outer = [{"name": "address", "type": ["null", inner], "default": None}]
        return {"type": "record", "name": "A", "namespace": "n", "fields": outer}

    line, code = {"name": "line", "type": "string"}, {"name": "code", "type": "string"}
    assert [each.field for each in incompatibilities(contract(line, code), contract(line))] == ["address"]
    assert incompatibilities(contract(line), contract(line, code)) == []
