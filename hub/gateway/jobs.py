"""Jobs under `/v1/jobs`: what runs in the background, how far it got, and stopping it."""

from __future__ import annotations

from secrets import token_hex
from time import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, Field

from hub.gateway.api import Operator
from hub.gateway.state import Gateway
from hub.stream.jobs import OVER, Item, Job, asked_for, output

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


class ShownJob(BaseModel):
    """A job and how far it got. Times in epoch seconds, 0 for not yet."""

    id: str
    kind: Literal["redrive", "archive", "replay"]
    what: str = Field(description="What was chosen")
    status: Literal["queued", "running", "settling", "done", "cancelled"] = Field(
        description="`settling`: what waited behind parked events is being released"
    )
    total: int = Field(description="Records that were asked for")
    rate: float = Field(description="Records per second at most")
    done: int = Field(description="Of those, how many are seen to")
    sent: int = Field(description="Sent again, archived or replayed")
    repeated: int = Field(description="Passed over: this was done before")
    gone: int = Field(description="Passed over: past retention")
    refused: int = Field(description="Passed over: `note` says why")
    released: int = Field(description="Sent beyond what was asked for: they waited behind it")
    asked_at: float
    started_at: float
    ended_at: float
    note: str


class ShownJobs(BaseModel):
    """Jobs, newest first."""

    jobs: list[ShownJob]


def shown(state: Gateway, job: Job) -> ShownJob:
    """A job as the API shows it."""
    progress = state.jobs.progress(job.id)
    return ShownJob.model_validate(
        {
            **{name: getattr(job, name) for name in ("id", "kind", "what", "total", "rate", "asked_at")},
            **{name: getattr(progress, name) for name in ("status", "sent", "repeated", "gone", "refused")},
            "done": progress.next,
            "released": progress.added,
            "started_at": progress.started,
            "ended_at": progress.ended,
            "note": progress.note,
        }
    )


async def begin(state: Gateway, job: Job, items: list[Item]) -> ShownJob:
    """Ask for a job; returns once every gateway can see it. A job that is there already is left as it is."""
    if state.jobs.get(job.id) is None:
        for record in asked_for(job, items):
            await state.ingest.put(record)
        await state.until(lambda: state.jobs.get(job.id) is not None)
    return shown(state, state.jobs.get(job.id) or job)


def new_job(kind: str, what: str, items: list[Item], rate: float, **more: Any) -> Job:
    """A job with an id of its own."""
    named = {"id": token_hex(6), **more}
    return Job(kind=kind, what=what, total=len(items), rate=rate, asked_at=time(), **named)


@router.get("")
async def list_jobs(
    state: Operator, kind: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 50
) -> ShownJobs:
    """Jobs, newest first; of one kind, where that is given."""
    found = [job for job, _ in state.jobs.all() if kind in ("", job.kind)]
    return ShownJobs(jobs=[shown(state, job) for job in found[::-1][:limit]])


@router.get("/{job_id}")
async def show_job(job_id: str, state: Operator) -> ShownJob:
    """One job."""
    return shown(state, _existing(state, job_id))


@router.post("/{job_id}/cancel")
async def cancel_job(job_id: str, state: Operator) -> ShownJob:
    """Stop a job where it is: what it sent is sent, the rest stays as it was. 409 when it is over already."""
    job = _existing(state, job_id)
    if state.jobs.progress(job_id).status in OVER:
        raise HTTPException(409, "That job is over.")
    await state.ingest.put(output("cancel", job_id, True))
    await state.until(lambda: state.jobs.progress(job_id).status in OVER)
    return shown(state, job)


def _existing(state: Gateway, job_id: str) -> Job:
    found = state.jobs.get(job_id)
    if found is None:
        raise HTTPException(404, "No such job.")
    return found
