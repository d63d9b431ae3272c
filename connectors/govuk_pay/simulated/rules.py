"""What the public API refuses, in its own words: code, HTTP status and description of each error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from connectors.govuk_pay.cards import holds_card_number


class ApiError(Exception):
    """A refusal: HTTP status, P-code, description and the field or header at fault."""

    def __init__(self, status: int, code: str, description: str, **where: str) -> None:
        super().__init__(code)
        self.status = status
        self.body = {**where, "code": code, "description": description}

    def response(self) -> Response:
        """As an HTTP answer."""
        return JSONResponse(self.body, self.status)


UNAUTHORISED = "Credentials are required to access this resource."


def refusal(status: int) -> Response:
    """The answer of a bad day."""
    if status == 401:
        return PlainTextResponse(UNAUTHORISED, 401, headers={"WWW-Authenticate": 'Bearer realm=""'})
    told = {
        403: ("P0920", "Request blocked by firewall rules. Please consult API documentation for details."),
        429: ("P0900", "Too many requests"),
        500: ("P0498", "Downstream system error"),
    }
    code, description = told.get(status, ("P0999", "GOV.UK Pay is currently unavailable."))
    return JSONResponse({"code": code, "description": description}, status)


_TEXTS = {"reference": 255, "description": 255, "return_url": 2000, "email": 254}
_FLAGS = frozenset({"delayed_capture", "moto"})
_WORDS = {
    "language": ("en", "cy"),
    "authorisation_mode": ("web", "agreement", "moto_api"),
    "agreement_payment_type": ("instalment", "recurring", "unscheduled"),
}
_KNOWN = {*_TEXTS, *_FLAGS, *_WORDS, "amount", "metadata", "agreement_id", "set_up_agreement"}
_KNOWN.add("prefilled_cardholder_details")


def parsed(body: bytes, code: str) -> dict[str, Any]:
    """The JSON object of a request. Raises ApiError."""
    try:
        asked = json.loads(body)
    except ValueError:
        asked = None
    if not isinstance(asked, dict):
        raise ApiError(400, code, "Unable to parse JSON")
    return asked


def checked_payment(body: bytes) -> dict[str, Any]:
    """A request to create a payment, found valid. Raises ApiError."""
    asked = parsed(body, "P0197")
    for name in asked:
        if name not in _KNOWN:
            raise ApiError(400, "P0104", f"Unexpected attribute: {name}", field=name)
    web = asked.get("authorisation_mode", "web") == "web"
    for name in ("amount", "reference", "description", *(("return_url",) if web else ())):
        if asked.get(name) in (None, ""):
            raise ApiError(400, "P0101", f"Missing mandatory attribute: {name}", field=name)
    _amount(asked["amount"], "P0102", least=0)
    for name, most in _TEXTS.items():
        if not isinstance(asked.get(name, ""), str) or len(asked.get(name, "")) > most:
            raise _invalid(name, f"Must be less than or equal to {most} characters length")
    for name in _FLAGS:
        if not isinstance(asked.get(name, False), bool):
            raise _invalid(name, "Must be true or false")
    for name, words in _WORDS.items():
        if asked.get(name, words[0]) not in words:
            raise _invalid(name, f"Must be one of {', '.join(words)}")
    _metadata(asked.get("metadata", {"k": 1}))
    if holds_card_number(asked["reference"]):
        raise ApiError(400, "P0105", "Card number entered in a payment link reference", field="reference")
    return asked


def checked_refund(body: bytes, available: int) -> int:
    """The amount of a request to refund. `available` is what the account says can be. Raises ApiError."""
    asked = parsed(body, "P0697")
    if asked.get("amount") is None:
        raise ApiError(400, "P0601", "Missing mandatory attribute: amount", field="amount")
    amount = _amount(asked["amount"], "P0602", least=1)
    if asked.get("refund_amount_available", available) != available:
        raise ApiError(412, "P0604", "Refund amount available mismatch.")
    if amount > available:
        raise ApiError(400, "P0603", "The payment is not available for refund. Payment refund status: full")
    return amount


def idempotency_key(headers: Mapping[str, str]) -> str:
    """The `Idempotency-Key`, or empty. Raises ApiError for a malformed one."""
    key = headers.get("idempotency-key", "")
    if "idempotency-key" in headers and not re.fullmatch(r"[A-Za-z0-9-]{1,255}", key):
        told = "Header [Idempotency-Key] can have a size between 1 and 255"
        raise ApiError(422, "P0102", told, header="Idempotency-Key")
    return key


def checked_search(query: Mapping[str, str], code: str) -> tuple[int, int]:
    """Page and page size of a search. Raises ApiError that names every parameter at fault."""
    bad = [name for name in ("from_date", "to_date") if name in query and not _parses(datetime, query[name])]
    bad += [
        name
        for name in ("from_settled_date", "to_settled_date")
        if query.get(name, "") and not _parses(date, query[name])
    ]
    bad += [
        name for name in ("page", "display_size") if not re.fullmatch(r"[1-9]\d{0,8}", query.get(name, "1"))
    ]
    if "display_size" not in bad and int(query.get("display_size", "500")) > 500:
        bad.append("display_size")
    if bad:
        told = (
            f"Invalid parameters: {', '.join(bad)}. See Public API documentation for the correct data formats"
        )
        raise ApiError(422, code, told)
    return int(query.get("page", "1")), int(query.get("display_size", "500"))


def _parses(kind: type[date], text: str) -> bool:
    try:
        found = kind.fromisoformat(text)
    except ValueError:
        return False
    return not isinstance(found, datetime) or found.tzinfo is not None


def _amount(amount: object, code: str, least: int) -> int:
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise ApiError(
            422, code, "Invalid attribute value: amount. Must be a valid numeric format", field="amount"
        )
    if not least <= amount <= 10_000_000:
        bound = f"greater than or equal to {least}" if amount < least else "less than or equal to 10000000"
        raise ApiError(422, code, f"Invalid attribute value: amount. Must be {bound}", field="amount")
    return amount


def _metadata(metadata: object) -> None:
    if not isinstance(metadata, dict) or not 1 <= len(metadata) <= 15:
        raise _invalid("metadata", "Must be an object of 1 to 15 keys")
    for name, value in metadata.items():
        if not 1 <= len(name) <= 30:
            raise _invalid("metadata", "Keys must be between 1 and 30 characters long")
        if not isinstance(value, str | int | float) or (isinstance(value, str) and len(value) > 100):
            raise _invalid("metadata", "Values must be text of at most 100 characters, number or boolean")


def _invalid(name: str, why: str) -> ApiError:
    return ApiError(422, "P0102", f"Invalid attribute value: {name}. {why}", field=name)
