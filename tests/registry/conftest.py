"""A folder of contracts to break, and plain values for any Avro type."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.registry.schemas import Registry, Schema

Change = Callable[[str, Callable[[dict[str, Any]], Any]], Path]


@pytest.fixture
def captured(registry: Registry) -> Schema:
    """The contract of a captured payment."""
    return registry.by_type("payments.payment.captured")


@pytest.fixture
def payment() -> dict[str, Any]:
    """A captured payment, every field of it given."""
    return {
        "payment_id": "hu20sqlact5260q2nanm0q8u93",
        "amount": 14500,
        "currency": "GBP",
        "reference": "PL/2026/0001",
        "description": "Premises licence fee — ffi trwydded £",
        "state": "success",
        "created_at": 1_795_482_139_612_734,
        "provider": "stripe",
        "language": "cy",
        "delayed_capture": False,
        "moto": False,
        "metadata": {"ledger_code": "AB100"},
        "payer_email": "sherlock.holmes@example.com",
        "card_brand": "Visa",
        "card_type": "debit",
        "corporate_card_surcharge": None,
        "total_amount": None,
        "fee": 120,
        "net_amount": 14380,
        "captured_on": "2026-11-23",
    }


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    """A copy of the contracts and their lock file."""
    shutil.copytree(root / "schemas", tmp_path / "schemas")
    return tmp_path / "schemas"


@pytest.fixture
def change(folder: Path) -> Change:
    """Change one contract of the copy in place; its path is returned."""

    def changed(name: str, edit: Callable[[dict[str, Any]], Any]) -> Path:
        file = folder / name
        definition = json.loads(file.read_text("utf-8"))
        edit(definition)
        file.write_text(json.dumps(definition, indent=2), "utf-8")
        return file

    return changed


@pytest.fixture
def schema_of() -> Callable[..., Schema]:
    """A schema of one's own with the given fields, under an id."""

    def made(*fields: tuple[str, Any], id: int = 77) -> Schema:
        listed = [{"name": name, "type": type} for name, type in fields]
        definition = {"type": "record", "name": "ThingDone", "namespace": "uk.hub.test", "fields": listed}
        return Schema.of(id, "test.thing.done", 1, definition)

    return made
