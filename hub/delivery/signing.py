"""Signatures of deliveries, as Standard Webhooks has them (standardwebhooks.com, specification of 2023).

The header `webhook-signature` is a space-separated list of `v1,<base64 of HMAC-SHA256>` over
`{id}.{timestamp}.{raw body}`; one match is enough, so that secrets can be rotated without a gap.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from functools import lru_cache

TOLERANCE_S = 300
ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"
SIGNATURE_HEADER = "webhook-signature"

_PREFIX = "whsec_"
_VERSION = "v1"
_KEY_BYTES = range(24, 65)
_MASTER_KEY_BYTES = 32
_DERIVATION = b"hub subscription secret\x1f"


class SignatureError(ValueError):
    """A signature that does not hold. `reason` is `missing`, `timestamp` or `mismatch`."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Secret:
    """A signing secret that does not show itself when printed or logged. `reveal` gives the `whsec_` text."""

    __slots__ = ("key",)

    def __init__(self, text: str) -> None:
        """Takes `whsec_` + base64 of 24 to 64 bytes, the prefix optional. Raises ValueError."""
        try:
            key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("a webhook secret is `whsec_` and base64; this is not") from None
        if len(key) not in _KEY_BYTES:
            raise ValueError("a webhook secret holds 24 to 64 bytes; this one does not")
        self.key = key

    def reveal(self) -> str:
        """The secret as a subscriber needs it."""
        return _PREFIX + base64.b64encode(self.key).decode()

    def __repr__(self) -> str:
        return "Secret(**********)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.key, other.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret is not to be pickled; keep a reference to it instead")


@lru_cache(maxsize=4096)
def derive_secret(master_key: bytes, subscription_id: str, version: int) -> Secret:
    """The secret of one subscription at one rotation: derived, so that none is ever stored.

    Raises ValueError for a master key of under 32 bytes, from which nothing safe can be derived.
    """
    if len(master_key) < _MASTER_KEY_BYTES:
        raise ValueError("the master key must be at least 32 random bytes (`openssl rand -base64 32`)")
    label = _DERIVATION + subscription_id.encode() + b"\x1f" + str(version).encode()
    derived = hmac.digest(master_key, label, "sha256")
    return Secret(base64.b64encode(derived).decode())


def sign(secrets: Secret | Iterable[Secret], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`: one signature per secret. `timestamp` is in epoch seconds."""
    keys = [secrets] if isinstance(secrets, Secret) else secrets
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(_signature(secret, signed) for secret in keys)


def verify(headers: Mapping[str, str], body: bytes, secrets: Secret | Iterable[Secret], now: float) -> None:
    """Raises SignatureError unless a listed signature fits one of the secrets and is at most 5 minutes off.

    Header names in any case; `now` in epoch seconds. Every pair is compared in constant time.
    """
    given = {name.lower(): value for name, value in headers.items()}
    message_id, stamp, listed = (given.get(name) for name in (ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER))
    if not message_id or not stamp or not listed:
        raise SignatureError("missing", f"needs {ID_HEADER}, {TIMESTAMP_HEADER} and {SIGNATURE_HEADER}")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 15):
        raise SignatureError("timestamp", f"{TIMESTAMP_HEADER} is not a time in whole epoch seconds")
    if abs(now - int(stamp)) > TOLERANCE_S:
        raise SignatureError("timestamp", f"{TIMESTAMP_HEADER} is over 5 minutes off; check both clocks")
    keys = [secrets] if isinstance(secrets, Secret) else secrets
    signed = f"{message_id}.{stamp}.".encode("utf-8", "replace") + body
    expected = [_signature(secret, signed).encode() for secret in keys]
    candidates = [one.encode("utf-8", "replace") for one in listed.split(" ")]
    # All pairs first, then the verdict: how long it takes does not tell which one fitted.
    fits = [hmac.compare_digest(one, other) for one in candidates for other in expected]
    if not any(fits):
        raise SignatureError("mismatch", "no listed signature fits: another secret, or a changed body")


def _signature(secret: Secret, signed: bytes) -> str:
    return f"{_VERSION},{base64.b64encode(hmac.digest(secret.key, signed, 'sha256')).decode()}"
