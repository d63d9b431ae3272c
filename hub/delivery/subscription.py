"""Subscriptions: a party's standing order for its inbox, pushed by signed webhook."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from hub.delivery.address import AddressError, check_url
from hub.delivery.signing import Secret, derive_secret

__all__ = ["AddressError", "Subscription", "check_types", "check_url", "matcher", "secrets_of"]

_PATTERN = re.compile(r"(\*|[a-z0-9]+(-[a-z0-9]+)*)(\.(\*|[a-z0-9]+(-[a-z0-9]+)*))*")

_OVERLAP_S = 86_400
"""How long the secret before the last rotation stays valid."""

_VALUE = re.compile(r"value '.*'", re.DOTALL)  # msgspec repeats a wrong value of a choice


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription as it stands in its compacted topic, in JSON. Fields it does not know are passed over,
    so that an older worker reads what a newer one wrote."""

    id: str
    """Unique; also what its secrets are derived from."""
    party: str
    """Whose inbox it reads."""
    url: str
    """Where deliveries are posted; see `check_url`."""
    types: tuple[str, ...] = ("*",)
    """Event types it wants; see `matcher`."""
    mode: Literal["structured", "binary"] = "structured"
    """Content mode of the CloudEvents HTTP binding."""
    secret_version: int = 1
    """Goes up by one at each rotation."""
    previous_version_until: float = 0
    """Until when the secret before is valid as well, epoch seconds; 0 is not at all."""
    status: Literal["active", "ended"] = "active"
    """An ended one gets nothing more."""
    ended_reason: str = ""
    """Why it ended, for people."""
    created: float = 0
    """Epoch seconds."""
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 15
    """How long the subscriber may take to answer, seconds; it holds one of its places for so long."""

    def wants(self, event_type: str) -> bool:
        """Whether an event of this type goes to it."""
        return self.status == "active" and matcher(self.types)(event_type)

    def rotated(self, now: float) -> Subscription:
        """The same with a new secret; the present one stays valid for a day beside it."""
        return msgspec.structs.replace(
            self, secret_version=self.secret_version + 1, previous_version_until=now + _OVERLAP_S
        )

    def ended(self, reason: str) -> Subscription:
        """The same, over: `reason` is for people."""
        return msgspec.structs.replace(self, status="ended", ended_reason=reason)

    def to_bytes(self) -> bytes:
        """JSON in UTF-8."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, raw: bytes) -> Subscription:
        """The reverse of `to_bytes`. Raises ValueError that names the field, never its value."""
        try:
            return _decoder().decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"not a subscription: {_VALUE.sub('value', str(error))}") from None


def check_types(types: tuple[str, ...]) -> None:
    """Raises ValueError unless `types` are patterns that `matcher` takes."""
    if not types:
        raise ValueError("a subscription needs at least one event type; `*` is all of them")
    if not all(_PATTERN.fullmatch(pattern) for pattern in types):
        raise ValueError("write event types as dotted lower-case words or `*`: `payments.payment.*`")


@lru_cache(maxsize=4096)
def matcher(types: tuple[str, ...]) -> Callable[[str], bool]:
    """A compiled test of event types. A last `*` stands for one or more words, any other for exactly one.

    So `*` is everything, `payments.*` all of a domain, `*.payment.failed` one fact in any domain.
    """
    pattern = re.compile("|".join(_expression(one) for one in types))

    @lru_cache(maxsize=1024)
    def wants(event_type: str) -> bool:
        return pattern.fullmatch(event_type) is not None

    return wants


def secrets_of(subscription: Subscription, master_key: bytes, now: float) -> tuple[Secret, ...]:
    """The secrets to sign with at `now` (epoch seconds): the current, then the previous while it is valid."""
    version = subscription.secret_version
    versions = [version]
    if version > 1 and now < subscription.previous_version_until:
        versions.append(version - 1)
    return tuple(derive_secret(master_key, subscription.id, one) for one in versions)


def _expression(pattern: str) -> str:
    *head, last = pattern.split(".")
    words = [r"[^.]+" if word == "*" else re.escape(word) for word in head]
    words.append(r"[^.]+(?:\.[^.]+)*" if last == "*" else re.escape(last))
    return r"\.".join(words)


@lru_cache(maxsize=1)
def _decoder() -> msgspec.json.Decoder[Subscription]:
    return msgspec.json.Decoder(Subscription)
