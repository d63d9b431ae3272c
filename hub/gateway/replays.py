"""Replays under `/v1/replays`: a plan that was made and read is run, exactly as it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import time

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from hub.gateway.api import Operator
from hub.gateway.jobs import ShownJob, begin
from hub.gateway.state import Gateway
from hub.stream import topics
from hub.stream.jobs import Item, Job
from hub.stream.replay import SANDBOX, place_of

router = APIRouter(prefix="/v1/replays", tags=["replays"])

#: Outputs in one plan, at most.
MOST = 20_000


class PlannedOutput(BaseModel):
    """One output of a plan. `at` is its input's topic/partition/offset, `digest` over what is to be sent."""

    model_config = ConfigDict(extra="ignore")

    at: str
    id: str
    route: str
    to: str = Field(description="The receiving party")
    digest: str


class Run(BaseModel):
    """A plan to run, from `hub replay plan`."""

    model_config = ConfigDict(extra="forbid")

    plan: str = Field(description="The plan's id: it is run once", pattern=r"^[0-9a-f]{12}$")
    items: list[PlannedOutput] = Field(max_length=MOST)
    sandbox: str = Field(default="", description="Send to this sandbox in place of the inboxes")
    sinks: list[str] = Field(default=[], description="Instances whose sinks may take it; no others do")
    rate: float = Field(default=50.0, gt=0, le=1_000, description="Records per second at most")


@router.post("")
async def run_plan(asked: Run, state: Operator) -> ShownJob:
    """Send again what a plan says and nothing else, in the background. The same plan again is the same job.

    Each output is made anew by the routes that are running, and sent only if it is what was planned.
    """
    _check(asked, state)
    try:
        items = [Item(one.id, *place_of(one.at), one.route, one.to, one.digest) for one in asked.items]
    except ValueError:
        raise HTTPException(422, "items: `at` is not a place of an input") from None
    if asked.sandbox:
        kafka = state.config.kafka
        made = topics.sandbox(asked.sandbox, kafka.partitions, kafka.replication)
        await asyncio.to_thread(topics.ensure, state.servers, [made])
    job = Job(
        id=asked.plan,
        kind="replay",
        what=f"plan {asked.plan}" + (f" to the sandbox {asked.sandbox}" if asked.sandbox else ""),
        total=len(items),
        rate=asked.rate,
        asked_at=time(),
        plan=asked.plan,
        sandbox=asked.sandbox,
        sinks=tuple(asked.sinks),
    )
    return await begin(state, job, items)


def _check(asked: Run, state: Gateway) -> None:
    if not asked.items:
        raise HTTPException(422, "items: the plan sends nothing")
    if asked.sandbox and not SANDBOX.fullmatch(asked.sandbox):
        raise HTTPException(422, "sandbox: lower-case letters, digits and hyphens")
    with_sinks = {name for name, member in state.loaded.fleet.members.items() if member.sinks}
    _only_known("sinks", asked.sinks, with_sinks, "not an instance with a sink")
    _only_known("items", (one.to for one in asked.items), state.config.parties, "not a party of this hub")


def _only_known(field: str, names: Iterable[str], known: Iterable[str], told: str) -> None:
    if unknown := sorted(set(names) - set(known)):
        raise HTTPException(422, f"{field}: {unknown[0]} is {told}")
