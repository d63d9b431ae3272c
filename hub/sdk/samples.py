"""Fresh, genuine samples of what a webhook source is sent, made from its own fixtures."""

from __future__ import annotations

import inspect
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.sdk.errors import Reject
from hub.sdk.fleet import Member
from hub.sdk.webhook import WebhookSource, lookup, outline_of

_ALPHABET = string.ascii_lowercase + string.digits


@dataclass(frozen=True, slots=True)
class Sample:
    """A webhook ready to be posted, and the entity that it is about."""

    body: bytes
    headers: Mapping[str, str]
    subject: str
    path: str = ""


def sample_webhook(member: Member, event_type: str) -> Sample | None:
    """A webhook that becomes an event of this type, about an entity nobody has seen; None if there is no fixture."""
    for source in member.webhooks:
        folder = Path(inspect.getfile(type(source))).parent / "fixtures"
        for path in sorted(folder.glob("*.json")):
            body = path.read_bytes()
            try:
                facts = source.translate(body)
            except Reject:  # a fixture of another source, or one that is broken on purpose
                continue
            if any(fact.data.type == event_type for fact in facts):
                return _fresh(source, body)
    return None


def _fresh(source: WebhookSource[Any, Any], body: bytes) -> Sample:
    """The same message with its own id and its entity's id drawn anew, wherever they stand in it."""
    outline = outline_of(body)
    subject = ""
    for path in (source.message_field, source.key_field):
        old = lookup(outline, path)
        if old:
            subject = "".join(secrets.choice(_ALPHABET) for _ in old)
            body = body.replace(old.encode(), subject.encode())
    return Sample(body, source.sign(body), subject, source.takes[0].partition(" ")[2].rstrip("/"))
