"""The one job that every peer does, in plain Python without the hub: the oracle, and what slow peers call.

Decode; let `state == "success"` pass; reshape 13 fields to 9, one of them an HMAC; encode; carry the CloudEvents
headers on with a derived id, a new source, type, party, cause, trace and schema.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

HERE = Path(__file__).parent
SCHEMAS = HERE / "schemas"
INPUT_TYPE = "bench.payment.captured"
OUTPUT_TYPE = "bench.licence.paid"
SOURCE_TOPIC = "events.bench"
PARTITIONS = 4
ROUTE = "bench-licence-paid"
PARTY = "benchmark"
HMAC_KEY = b"k" * 32

Headers = list[tuple[str, bytes]]
Result = tuple[bytes, bytes, Headers]

_locked = {
    each["type"]: each for each in json.loads((SCHEMAS / "schemas.lock").read_text("utf-8"))["schemas"]
}
INPUT_ID: int = _locked[INPUT_TYPE]["id"]
OUTPUT_ID: int = _locked[OUTPUT_TYPE]["id"]
PREFIX = 5  # bytes of the Confluent wire format before the Avro: a zero, the schema's id

#: The name space of all derived ids of the hub.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "integration-hub.events")

_namespace = NAMESPACE.bytes
_derived_from = f"{ROUTE}\x1f{PARTY}\x1f".encode()
_header_of_output = b"\0" + OUTPUT_ID.to_bytes(4, "big")
_source = f"/routes/{ROUTE}".encode()
_type = OUTPUT_TYPE.encode()
_party = PARTY.encode()
_dataschema = f"/schemas/ids/{OUTPUT_ID}".encode()


def _bare(kind: Any) -> Any:
    """A schema without logical types: times stay the whole microseconds that they are on the wire."""
    if isinstance(kind, list):
        return [_bare(branch) for branch in kind]
    if isinstance(kind, dict):
        return {key: _bare(value) for key, value in kind.items() if key != "logicalType"}
    return kind


INPUT = parse_schema(_bare(_locked[INPUT_TYPE]["schema"]))
OUTPUT = parse_schema(_bare(_locked[OUTPUT_TYPE]["schema"]))


def new_value(value: bytes) -> bytes | None:
    """The output's value; None for what is filtered out."""
    stream = BytesIO(value)
    stream.seek(PREFIX)
    event: Any = schemaless_reader(stream, INPUT, None)
    if event["state"] != "success":
        return None
    payer = event["payer"]
    uprn = payer["uprn"]
    out = BytesIO()
    out.write(_header_of_output)
    made = {
        "event_id": event["event_id"],
        "occurred_at": event["occurred_at"],
        "council": event["council"],
        "payment_ref": event["payment_id"],
        "licence_ref": event["reference"],
        "amount_pence": event["amount"],
        "property": None if uprn is None else hmac.digest(HMAC_KEY, uprn.encode(), "sha256").hex()[:32],
        "postcode_district": payer["postcode"].split(" ", 1)[0],
        "ledger_code": event["metadata"].get("ledger_code"),
    }
    schemaless_writer(out, OUTPUT, made)
    return out.getvalue()


def new_headers(headers: Sequence[tuple[str, bytes]]) -> Headers:
    """The output's headers: the input's, in their order, with what a route changes."""
    given = dict(headers)
    cause = given["ce_id"]
    made = derived(cause)
    changed = {
        "ce_id": made,
        "ce_source": _source,
        "ce_type": _type,
        "ce_party": _party,
        "ce_causationid": cause,
        "ce_traceparent": given["ce_traceparent"][:36] + made[:8] + made[9:13] + made[14:18] + b"-01",
        "ce_dataschema": _dataschema,
    }
    return [(name, changed.get(name, value)) for name, value in headers]


def derived(cause: bytes) -> bytes:
    """The output's id: UUIDv5 over route, party and the input's id."""
    digest = bytearray(hashlib.sha1(_namespace + _derived_from + cause, usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}".encode()


def work(key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> Result | None:
    """Key, value and headers of the output; None for what is filtered out."""
    made = new_value(value)
    return None if made is None else (key, made, new_headers(headers))
