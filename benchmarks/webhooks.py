"""GOV.UK Pay's webhooks as whole HTTP requests, signed and ready, so that sending costs next to nothing."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from connectors.govuk_pay import connector

INSTANCE = "birmingham-pay"
PARTY = "E08000025"
SECRET = "webhook_test_key"  # noqa: S105 - opens nothing

_SAMPLE = Path(connector.__file__).parent / "fixtures" / "webhook_captured.json"
_MESSAGE, _PAYMENT, _REFERENCE = "m200000000000000000000000w", "k3v9q0b7t1m5x8c2n6w4z0r3hd", "PREM-2026-00417"


def payment(number: int) -> str:
    """The id of the payment that the webhook of this number is about: 26 characters, as Pay's are."""
    return f"bench{number:021}"


def bodies(start: int, stop: int) -> Iterator[bytes]:
    """Captured payments, each another, none for a licence: one event each, and one delivery."""
    sample = _SAMPLE.read_text("utf-8")
    for number in range(start, stop):
        body = sample.replace(_MESSAGE, f"message{number:019}").replace(_PAYMENT, payment(number))
        yield body.replace(_REFERENCE, f"RENT {number}").encode()


def requests(gateway: str, start: int, stop: int) -> list[bytes]:
    """POST requests for the gateway at this address."""
    head = (
        f"POST /webhooks/{INSTANCE} HTTP/1.1\r\nHost: {urlsplit(gateway).netloc}\r\n"
        "Content-Type: application/json\r\nUser-Agent: benchmark\r\n"
    )
    return [
        f"{head}Pay-Signature: {_signature(body)}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        for body in bodies(start, stop)
    ]


def _signature(body: bytes) -> str:
    return hmac.new(SECRET.encode(), body, "sha256").hexdigest()
