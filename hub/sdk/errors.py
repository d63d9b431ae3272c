"""What can go wrong, named by what happens next.

    HubError
    ├── Retry    the same call may succeed later: it is repeated, after `after` seconds if given
    ├── Reject   this one record will never succeed: it is set aside as a dead letter and the stream goes on
    └── Stop     nothing will succeed until a person acts (a revoked key, say): the instance halts and says so

A connector author raises these three and nothing else. Reasons are shown to people and kept in logs, so they
name fields and systems, never values.
"""

from __future__ import annotations


class HubError(Exception):
    """Base of the three; `reason` is one sentence for a person."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Retry(HubError):
    """Try the same again, not before `after` seconds from now when the other side said so."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class Reject(HubError):
    """Set this record aside. `field` is the dotted name of the field at fault, `kind` the kind of fault."""

    def __init__(self, reason: str, field: str = "", kind: str = "rejected") -> None:
        super().__init__(reason)
        self.field = field
        self.kind = kind


class Stop(HubError):
    """Halt this instance and call a person."""


class Unauthorised(Reject):
    """A webhook whose signature is missing, forged or stale: answered 401, and nothing of it is kept."""
