"""What GOV.UK Notify's API refuses, in its own words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_EMAIL = re.compile(r"[^\s@]{1,64}@[^\s@.]+(\.[^\s@.]+)+")
_PLACEHOLDER = re.compile(r"\(\(([^()]+)\)\)")

#: The field that holds the recipient, and what a request for each channel may hold besides.
_RECIPIENT = {"email": "email_address", "sms": "phone_number"}
_KNOWN = {
    "email": {"email_address", "one_click_unsubscribe_url", "email_reply_to_id", "sanitise_content_for"},
    "sms": {"phone_number", "sms_sender_id"},
    "letter": set[str](),
}
_COMMON = {"template_id", "personalisation", "reference"}


class ApiError(Exception):
    """A refusal: HTTP status, kind and message."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(kind)
        self.status = status
        self.body = {"status_code": status, "errors": [{"error": kind, "message": message}]}

    def response(self) -> Response:
        """As an HTTP answer."""
        return JSONResponse(self.body, self.status)


def checked(channel: str, body: bytes) -> tuple[dict[str, Any], str]:
    """A request to send, found valid, and its recipient (of a letter, the first line). Raises ApiError."""
    if channel not in _KNOWN:
        raise ApiError(404, "NoResultFound", "No result found")
    try:
        asked = json.loads(body)
    except ValueError:
        raise ApiError(400, "BadRequestError", "Invalid JSON supplied in POST data") from None
    for name in asked:
        if name not in _COMMON | _KNOWN[channel]:
            raise _invalid(f"Additional properties are not allowed ({name} was unexpected)")
    required = ["template_id", _RECIPIENT.get(channel, "personalisation")]
    for name in required:
        if name not in asked:
            raise _invalid(f"{name} is a required property")
    if not _UUID.fullmatch(str(asked["template_id"])):
        raise _invalid("template_id is not a valid UUID")
    if not isinstance(asked.get("personalisation", {}), dict):
        raise _invalid(f"personalisation {asked['personalisation']} is not of type object")
    if len(asked.get("reference") or "") > 1000:
        raise _invalid(f"reference {asked['reference']} is too long")
    return asked, _recipient(channel, asked)


def _recipient(channel: str, asked: Mapping[str, Any]) -> str:
    if channel == "email":
        if not _EMAIL.fullmatch(str(asked["email_address"])):
            raise _invalid("email_address Not a valid email address")
        return str(asked["email_address"])
    if channel == "sms":
        _check_number(str(asked["phone_number"]))
        return str(asked["phone_number"])
    lines = [asked["personalisation"].get(f"address_line_{number}") for number in range(1, 8)]
    if len([line for line in lines if line]) < 3:
        raise _invalid("Address must be at least 3 lines")
    return str(lines[0])


def _check_number(number: str) -> None:
    digits = re.sub(r"[\s()\-+.]", "", number)
    if not digits.isdigit():
        raise _invalid("phone_number Must not contain letters or symbols")
    national = digits.removeprefix("44").removeprefix("0")
    if not national.startswith("7"):
        raise _invalid("phone_number Not a UK mobile number")
    if len(national) != 10:
        raise _invalid(f"phone_number {'Too many' if len(national) > 10 else 'Not enough'} digits")


def missing(text: str, personalisation: Mapping[str, Any]) -> list[str]:
    """The placeholders of a template that nothing was given for."""
    return [name for name in _PLACEHOLDER.findall(text) if name not in personalisation]


def personalised(text: str, personalisation: Mapping[str, Any]) -> str:
    """A template with its placeholders filled in."""
    return _PLACEHOLDER.sub(lambda found: str(personalisation[found[1]]), text)


def _invalid(message: str) -> ApiError:
    return ApiError(400, "ValidationError", message)
