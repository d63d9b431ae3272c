"""Subscribers that misbehave all at once, each in its own way."""

from __future__ import annotations

from tests.chaos.fault import Fault, Laboratory, fault
from tests.chaos.receivers import Habits


class _Habit(Fault):
    habits: Habits = {}  # noqa: RUF012 - never changed
    least, most = 2.0, 4.0
    events = 200

    async def begin(self, lab: Laboratory) -> None:
        """A subscriber, drawn, takes to it."""
        self.victim = self.random.choice(lab.stage.subscribers)
        self.victim.habits = self.habits

    async def end(self, lab: Laboratory) -> None:
        """It is its old self again."""
        self.victim.habits = {}


@fault("receiver-500", "receivers")
class Receiver500(_Habit):
    """A subscriber answers 500 to everything."""

    habits = {"500": 1.0}  # noqa: RUF012


@fault("receiver-busy", "receivers")
class ReceiverBusy(_Habit):
    """A subscriber answers 429 and 503, some with `Retry-After`."""

    habits = {"429": 0.3, "429-later": 0.05, "503": 0.3}  # noqa: RUF012


@fault("receiver-resets", "receivers")
class ReceiverResets(_Habit):
    """A subscriber resets half its connections, before it took the event and after."""

    habits = {"reset": 0.25, "lost": 0.25}  # noqa: RUF012


@fault("receiver-half-answers", "receivers")
class ReceiverHalfAnswers(_Habit):
    """A subscriber takes what comes, and breaks off in the middle of its answers."""

    habits = {"half": 0.5}  # noqa: RUF012


@fault("receiver-hangs", "receivers")
class ReceiverHangs(_Habit):
    """A subscriber takes what comes, and never answers."""

    habits = {"hang": 0.3}  # noqa: RUF012


@fault("receiver-slow", "receivers")
class ReceiverSlow(_Habit):
    """A subscriber takes half a second for a fifth of its answers."""

    habits = {"slow": 0.2}  # noqa: RUF012


@fault("receiver-redirects", "receivers")
class ReceiverRedirects(_Habit):
    """A subscriber answers 302."""

    habits = {"302": 0.5}  # noqa: RUF012


@fault("receivers-away", "receivers")
class ReceiversAway(Fault):
    """No subscriber takes anything."""

    least, most = 3.0, 6.0
    events = 300

    async def begin(self, lab: Laboratory) -> None:
        """All reset every connection."""
        lab.stage.receivers.away = True

    async def end(self, lab: Laboratory) -> None:
        """All are back."""
        lab.stage.receivers.away = False
