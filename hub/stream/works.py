"""Which work each kind of job is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hub.journal.queries import Queries
from hub.journal.rows import Failure
from hub.sdk.fleet import Fleet
from hub.stream.job_runner import Work
from hub.stream.jobs import Jobs
from hub.stream.picking import Picker
from hub.stream.redrive import Redriving
from hub.stream.replay import Replaying
from hub.stream.sinking import recipient_of
from hub.stream.subscriptions import Subscriptions
from hub.stream.trial import Trial


def works(
    servers: str, jobs: Jobs, journal: Queries, trial: Trial, receives: Callable[[str], bool]
) -> Callable[[Picker], Mapping[str, Work]]:
    """For `JobRunner`; `receives` is for `Redriving`."""

    def made(picker: Picker) -> Mapping[str, Work]:
        def waiting(reasons: Sequence[str]) -> list[Failure]:
            return journal.open_failures(reasons=reasons)

        redriving = Redriving(servers, picker, jobs, waiting, receives)
        replaying = Replaying(picker, trial)
        return {"redrive": redriving, "archive": redriving, "replay": replaying}

    return made


def receiving(subscriptions: Subscriptions, fleet: Fleet) -> Callable[[str], bool]:
    """Whether a subscription or sink, by its id as a recipient, still gets anything."""
    sinks = {recipient_of(sink) for member in fleet.members.values() for sink in member.sinks}

    def receives(recipient: str) -> bool:
        subscription = subscriptions.get(recipient)
        return recipient in sinks if subscription is None else subscription.status == "active"

    return receives
