"""Messages about a referral overtake each other: the one rule by which receivers and sinks still end right.

Within a conversation, **a cancellation is final, and otherwise the newest version holds**. What was sent before the
cancellation does not come back, whatever its version says; only a new request, made after it, opens the conversation
again. Answers are ordered apart from requests. Only versions of one sender are compared, so clocks need not agree.

HL7 v2 may leave the zone out, and in the hour that London has twice in October a newer version then seems older, by
less than an hour. It is passed on: a repeat is better than a loss. From then on it counts as of the earliest moment at
which it is not void: so a cancellation closes the request that it seemed older than, a new request is not closed by
the cancellation that it seemed older than, and neither is taken for something newer when it comes again.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from connectors.care_messages.canonical import Referral, is_hl7
from hub.events.generated.care import ReferralCancelled, ReferralRequested, ReferralUpdated
from hub.sdk import LONDON

_NEVER = datetime.min.replace(tzinfo=UTC)
_AT_NO_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Seen:
    """The newest version of each kind in one conversation."""

    requested: datetime = _NEVER
    updated: datetime = _NEVER
    cancelled: datetime = _NEVER
    answered: datetime = _NEVER
    #: The moments that messages count as of which were passed on and do not say it exactly, by id and version.
    settled: dict[tuple[str, datetime], datetime] = field(default_factory=dict)

    def overtaken(self, event: Referral) -> bool:
        """Whether what was noted makes this message void."""
        return self._moment(event) < self._earliest(event)

    def note(self, event: Referral) -> None:
        """The message counts from now on."""
        latest = self._moment(event)
        at = min(max(event.version_at, self._earliest(event)), latest)
        if latest > event.version_at:
            self.settled[event.message_id, event.version_at] = at
        kinds = {ReferralRequested: "requested", ReferralUpdated: "updated", ReferralCancelled: "cancelled"}
        name = kinds.get(type(event), "answered")
        setattr(self, name, max(getattr(self, name), at))

    def _moment(self, event: Referral) -> datetime:
        """The latest that its version may be of; once passed on, the one that it counts as of."""
        return self.settled.get((event.message_id, event.version_at)) or _latest(event)

    def _earliest(self, event: Referral) -> datetime:
        """The earliest moment of which such a message is not void."""
        if isinstance(event, ReferralCancelled):
            return self.requested
        if isinstance(event, ReferralRequested):
            return max(self.cancelled + timedelta.resolution, self.requested, self.updated)
        if isinstance(event, ReferralUpdated):
            closed = self.cancelled > _NEVER and self.cancelled >= self.requested
            return _AT_NO_TIME if closed else max(self.requested, self.updated)
        return self.answered


def _latest(event: Referral) -> datetime:
    """The latest moment that its version may be of."""
    at = event.version_at
    local = at.astimezone(LONDON)
    twice = local.utcoffset() != local.replace(fold=1).utcoffset()
    return at + timedelta(hours=1) if twice and is_hl7(event.sender_address) else at


class Newest:
    """`Seen` of the last `limit` conversations; forgetting one costs a repeat, never a loss."""

    def __init__(self, limit: int = 50_000) -> None:
        self._limit = limit
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    def overtaken(self, event: Referral) -> bool:
        """Whether a newer message, or a cancellation, of its conversation was noted."""
        seen = self._seen.get(event.conversation_id)
        return seen is not None and seen.overtaken(event)

    def note(self, event: Referral) -> None:
        """The message was passed on."""
        self._seen.setdefault(event.conversation_id, Seen()).note(event)
        self._seen.move_to_end(event.conversation_id)
        if len(self._seen) > self._limit:
            self._seen.popitem(last=False)
