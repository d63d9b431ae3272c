"""A delivery: one event going to one recipient, with its attempts, and the steps it goes through."""

from __future__ import annotations

from dataclasses import dataclass

from hub.delivery.message import Message
from hub.delivery.schedule import Outcome, Verdict

Key = tuple[str, str, int, int]


@dataclass(slots=True, eq=False)
class Delivery:
    """One event going to one recipient; `topic`, `partition` and `offset` are its place in the inbox.

    `attempts` are those that failed, `due` (epoch seconds) is when to try next: given by the caller for a
    delivery that a restart interrupted, changed by `Lanes` alone once added. `verdict` is None until it is
    over. `message` is the event itself, where it is held: whoever sends reads it otherwise. `since` is when
    the inbox got it, epoch seconds; `stage` what the journal calls the giving.
    """

    recipient: str
    subject: str
    event_id: str
    topic: str
    partition: int
    offset: int
    attempts: int = 0
    due: float = 0.0
    message: Message | None = None
    since: float = 0.0
    stage: str = "deliver"
    verdict: Verdict | None = None

    @property
    def key(self) -> Key:
        """What makes it one and the same delivery, also after a restart."""
        return (self.recipient, self.topic, self.partition, self.offset)

    @property
    def place(self) -> tuple[int, int]:
        """Its place among those of the same subject, which are all of one inbox."""
        return (self.partition, self.offset)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened to a delivery, for the caller to persist: a failed attempt or the end.

    `attempt` is the number of the last attempt made (0 for none), `at` when this happened, `due` when it is
    tried next, for `attempt-failed` (both epoch seconds). One that is not `counted` changed nothing: it only
    showed that the recipient is still away.
    """

    delivery: Delivery
    verdict: Verdict
    attempt: int
    outcome: Outcome
    at: float
    due: float = 0.0
    counted: bool = True
