"""Which work each kind of job is, and for whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hub.delivery.dead_letter import DeadLetter
from hub.journal.queries import Queries
from hub.journal.rows import Failure
from hub.loading import Loaded
from hub.stream import topics
from hub.stream.job_runner import Work
from hub.stream.jobs import Jobs
from hub.stream.picking import Picker
from hub.stream.redrive import Redriving
from hub.stream.replay import Replaying
from hub.stream.sinking import recipient_of
from hub.stream.subscriptions import Subscriptions
from hub.stream.trial import Trial


def works(
    servers: str, jobs: Jobs, journal: Queries, trial: Trial, nobody: Callable[[DeadLetter], str]
) -> Callable[[Picker], Mapping[str, Work]]:
    """For `JobRunner`; `nobody` is for `Redriving`."""

    def made(picker: Picker) -> Mapping[str, Work]:
        def waiting(reasons: Sequence[str]) -> list[Failure]:
            return journal.open_failures(reasons=reasons)

        redriving = Redriving(servers, picker, jobs, waiting, nobody)
        replaying = Replaying(picker, trial)
        return {"redrive": redriving, "archive": redriving, "replay": replaying}

    return made


def nobody_takes(subscriptions: Subscriptions, loaded: Loaded) -> Callable[[DeadLetter], str]:
    """Why nobody would take a dead letter that was sent again, or nothing where somebody would."""
    fleet = loaded.fleet
    sinks = {recipient_of(sink) for member in fleet.members.values() for sink in member.sinks}
    routes = {compiled.route.name for compiled in loaded.routes}
    declared = topics.declare(loaded.settings.config, fleet.connectors, loaded.domains)
    read = {topic.name for topic in declared}

    def receives(recipient: str) -> bool:
        subscription = subscriptions.get(recipient)
        return recipient in sinks if subscription is None else subscription.status == "active"

    def reason(letter: DeadLetter) -> str:
        if letter.subscription and not receives(letter.subscription):
            return "some are for a subscription or sink that is there no more"
        if letter.route and letter.route not in routes:
            return f"some are for route {letter.route}, which is there no more"
        if letter.topic not in read:
            return f"some are for {letter.topic}, which nobody reads any more"
        return ""

    return reason
