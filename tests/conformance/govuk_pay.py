"""GOV.UK Pay's published samples, and what each should be read as."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors.govuk_pay.config import Config
from connectors.govuk_pay.connector import PaymentSearch, PayWebhooks, RefundSearch
from hub.sdk import Instance

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "fixtures" / "govuk_pay"
OWN = Path(__file__).resolve().parents[2] / "connectors" / "govuk_pay" / "fixtures"

needs_samples = pytest.mark.skipif(
    not SAMPLES.is_dir(), reason="the published samples are not beside the project"
)

INSTANCE = Instance("birmingham-pay", "govuk_pay", "E08000025")
CONFIG = Config(_env_prefix="HUB_TEST_", signing_secret="a secret", api_key="a key")
WEBHOOKS = PayWebhooks(INSTANCE, CONFIG)
PAYMENTS = PaymentSearch(INSTANCE, CONFIG)
REFUNDS = RefundSearch(INSTANCE, CONFIG)


@dataclass(frozen=True)
class Sample:
    file: str
    kind: str  # webhook, payment or refund
    body: bytes

    def source(self) -> PayWebhooks | PaymentSearch | RefundSearch:
        return {"webhook": WEBHOOKS, "payment": PAYMENTS, "refund": REFUNDS}[self.kind]


def load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def samples_in(node: Any, file: str) -> Iterator[Sample]:
    """Every webhook, payment and refund anywhere in a document, in the words that it is written in."""
    if isinstance(node, dict):
        body = json.dumps(node).encode()
        if "webhook_message_id" in node:
            yield Sample(file, "webhook", body)
            return
        if "refund_id" in node or ("parent_transaction_id" in node and "dispute" not in file):
            yield Sample(file, "refund", body)
        elif "amount" in node and "state" in node:
            yield Sample(file, "payment", body)
        for value in node.values():
            yield from samples_in(value, file)
    elif isinstance(node, list):
        for value in node:
            yield from samples_in(value, file)
    elif isinstance(node, str) and '"webhook_message_id"' in node:
        yield from samples_in(json.loads(node), file)


def in_public_words(sample: Sample) -> Sample:
    """The same as the public API would show it: its internal services name ids otherwise."""
    record = json.loads(sample.body)
    if sample.kind == "payment":
        names = {"transaction_id": "payment_id", "charge_id": "payment_id"}
    else:
        names = {"transaction_id": "refund_id", "parent_transaction_id": "payment_id"}
        if isinstance(record.get("state"), dict):
            record["status"] = record["state"].get("status")
    return Sample(
        sample.file, sample.kind, json.dumps({names.get(k, k): v for k, v in record.items()}).encode()
    )
