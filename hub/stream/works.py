"""Which work each kind of job is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hub.journal.queries import Queries
from hub.stream.job_runner import Work
from hub.stream.jobs import Jobs
from hub.stream.picking import Picker
from hub.stream.redrive import Redriving
from hub.stream.replay import Replaying
from hub.stream.trial import Trial


def works(servers: str, jobs: Jobs, journal: Queries, trial: Trial) -> Callable[[Picker], Mapping[str, Work]]:
    """For `JobRunner`."""

    def made(picker: Picker) -> Mapping[str, Work]:
        redriving = Redriving(servers, picker, jobs, lambda reasons: journal.open_failures(reasons=reasons))
        replaying = Replaying(picker, trial)
        return {"redrive": redriving, "archive": redriving, "replay": replaying}

    return made
