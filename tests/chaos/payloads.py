"""Genuine GOV.UK Pay webhooks that say which message of which subject they are, and broken ones."""

from __future__ import annotations

import hashlib
import json
from random import Random
from typing import Any
from zlib import crc32

from connectors.govuk_pay.simulated.sender import sign
from connectors.govuk_pay.simulator import PaySimulator
from hub.events.ids import derive
from hub.sdk.webhook import lookup, outline_of
from tests.chaos.truth import Lane

SECRET = "webhook_test_key"
ROUTE = "licence-fee-paid"
"""The route that takes no event without a subject."""


def amount_of(subject: str) -> int:
    """Pence, by which a receiver sees that nothing was mixed up."""
    return 1_000_000 + crc32(subject.encode()) % 1_000_000


def description_of(number: int) -> str:
    """Likewise."""
    return f"message {number} of its subject"


def reference_of(subject: str) -> str:
    """The licence that a payment is for."""
    return f"PREM/{subject}"


class Payloads:
    """Bodies by template: some microseconds each. A lane's messages are always the same bytes."""

    def __init__(self) -> None:
        pay = PaySimulator(signing_secret=SECRET)
        payment = pay.create_payment("PREM/template", 1)
        template = json.loads(pay.message(payment, "card_payment_captured").body)
        template["resource_id"] = template["resource"]["payment_id"] = "%SUBJECT%"
        template["webhook_message_id"] = "%MESSAGE%"
        template["event_type"] = "%TYPE%"
        template["resource"] |= {
            "amount": "%AMOUNT%",
            "reference": "%REFERENCE%",
            "description": "%DESCRIPTION%",
            "metadata": "%METADATA%",
            "state": {"status": "success", "finished": True},
        }
        template["resource"]["refund_summary"]["amount_submitted"] = "%REFUNDED%"
        text = json.dumps(template).replace("%%", "%")
        for name in ("AMOUNT", "REFUNDED", "METADATA"):
            text = text.replace(f'"%{name}%"', f"%{name}%")
        self._parts = [part for part in text.split("%") if part]

    def body(self, lane: Lane, number: int, **changed: str) -> bytes:
        """The message of a lane with this number. `changed` replaces parts of it, as they stand in JSON."""
        values = {
            "SUBJECT": lane.subject,
            "MESSAGE": f"{lane.subject}-{number}",
            "TYPE": "card_payment_refunded" if number else "card_payment_captured",
            "AMOUNT": str(amount_of(lane.subject)),
            "REFERENCE": reference_of(lane.subject),
            "DESCRIPTION": description_of(number),
            "METADATA": '{"licence_reference": ""}' if lane.feeless else "null",
            "REFUNDED": str(number),
            **changed,
        }
        return "".join(values.get(part, part) for part in self._parts).encode()

    def poison(self, lane: Lane, name: str, random: Random) -> bytes:
        """A message about the lane's subject, genuine by its signature, of which no event can be made."""
        kinds: list[dict[str, Any]] = [
            {"AMOUNT": '"twelve"'},
            {"AMOUNT": "-5"},
            {"AMOUNT": "99999999999999999999999"},
            {"TYPE": "card_payment_vanished"},
            {"DESCRIPTION": "4242 4242 4242 4242"},
            {"METADATA": "[" * 200 + "]" * 200},
            {"METADATA": '{"a": ' * 500 + "1" + "}" * 500},
            {"METADATA": '{"filler": "' + "x" * 900_000 + '", "AMOUNT": [}'},
            {},
            {"REFERENCE": "\udcff"},
        ]
        kind = random.choice(kinds)
        values = {name: value for name, value in kind.items() if name != "REFERENCE"}
        body = self.body(lane, 1, MESSAGE=name, **values)
        if not kind:
            return body[: len(body) // 2]
        if "REFERENCE" in kind:
            return body.replace(b"PREM/", b"\xff\xfe")
        return body


def raw_id_of(instance: str, body: bytes) -> str:
    """The id by which the hub will know a message: from its own id where it has one, or from the bytes."""
    message = lookup(outline_of(body), "webhook_message_id") or hashlib.sha256(body).hexdigest()
    return derive(f"/connectors/govuk_pay/{instance}", "webhook", message)


def signed(body: bytes) -> dict[str, str]:
    """The headers with which GOV.UK Pay sends it."""
    return sign(body, SECRET)
