"""When a failed delivery is tried again, and when it is over. Pure: one failure always gets one answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

# The example schedule of Standard Webhooks ("Deliverability and reliability"): the wait before each attempt,
# counted from the failure of the one before. 10 attempts over 75 h 35 min 5 s.
DELAYS_S = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
# Up to a fifth later, never earlier: a receiver that came back is not met by everyone at once.
_JITTER = 0.2
_LONGEST_WAIT_S = 86_400
_GONE = 410
_BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt: an HTTP `status`, or 0 where there was no answer, with a short `reason`.

    `retry_after` is in seconds, where the receiver named it. `final` says that trying again is pointless, as
    for a body that cannot be made. `reason` holds no URL and nothing of the event: it is logged and shown.
    `kind` and `field` tell a dead letter what went wrong, as those of `Reject` do. `outputs` are records to
    write in the transaction that takes note of this outcome, such as what a receipt leads to.
    """

    status: int = 0
    reason: str = ""
    retry_after: float | None = None
    final: bool = False
    kind: str = "delivery"
    field: str = ""
    outputs: tuple[Any, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the receiver took it: any 2xx and nothing else; redirects are failures."""
        return 200 <= self.status < 300


Verdict = Literal["delivered", "attempt-failed", "dead-lettered", "ended"]
"""As the journal words it: `attempt-failed` is tried again, `ended` is the end of the whole subscription."""


@dataclass(frozen=True, slots=True)
class Next:
    """What happens after an attempt; `due` (epoch seconds) is when to try again, for `attempt-failed`."""

    verdict: Verdict
    due: float = 0.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """The waits before each attempt, in seconds; `speed` divides them, for demonstrations and tests."""

    delays: tuple[float, ...] = DELAYS_S
    speed: float = 1.0

    def decide(self, delivery_id: str, attempt: int, outcome: Outcome, now: float) -> Next:
        """What follows `attempt` (the first is 1) that came to `outcome` at `now` (epoch seconds).

        2xx is delivered and 410 ends the subscription. Everything else, 3xx and 4xx included, is tried again
        until the last attempt: a subscriber's wrong path or expired certificate is mended within days.
        """
        if outcome.ok:
            return Next("delivered")
        if outcome.status == _GONE:
            return Next("ended")
        if outcome.final or attempt >= len(self.delays):
            return Next("dead-lettered")
        wait = self.delays[attempt] * (1 + _JITTER * _draw(delivery_id, attempt)) / self.speed
        if outcome.retry_after is not None:
            # The receiver's seconds are real ones, whatever our speed; but it cannot hold an event for ever.
            wait = max(wait, self._granted(outcome.retry_after))
        return Next("attempt-failed", now + wait)

    def pause(self, outcome: Outcome) -> float:
        """Seconds for which nothing more goes to the subscription: what a 429 or 503 asked for, or 0."""
        if outcome.status not in _BUSY or outcome.retry_after is None:
            return 0.0
        return self._granted(outcome.retry_after)

    def _granted(self, retry_after: float) -> float:
        return min(retry_after, _LONGEST_WAIT_S / self.speed)


def _draw(delivery_id: str, attempt: int) -> float:
    """A number in [0, 1) that a restart draws again."""
    digest = hashlib.blake2b(f"{delivery_id}\x1f{attempt}".encode("utf-8", "replace"), digest_size=4)
    return int.from_bytes(digest.digest(), "big") / 2**32
