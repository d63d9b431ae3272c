"""Connector instances under `/v1/instances`: how each of their sources and sinks gets on, pause and resume."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, HTTPException
from pydantic import BaseModel, ConfigDict, Field

from hub.gateway.api import Operator
from hub.gateway.state import Gateway
from hub.sdk.connector import Connector
from hub.sdk.fleet import Member
from hub.sdk.webhook import WebhookSource
from hub.stream.controls import control_output

router = APIRouter(prefix="/v1/instances", tags=["instances"])


class ShownPart(BaseModel):
    """One source or sink of an instance. Times in epoch seconds, 0 for never or unknown."""

    name: str
    kind: str = Field(description="webhook, polling, files, register, mailbox, listener, sink or export")
    takes: list[str] = Field(description="Methods and paths below `/webhooks/<instance>`, of a webhook")
    state: Literal["unknown", "well", "failing", "halted"] = Field(
        description="`halted`: a person must act, then resume the instance"
    )
    good_at: float = Field(description="When it last worked")
    event_at: float = Field(description="When it last brought or delivered something")
    error: str = Field(description="What went wrong last, in the system's own words where it has some")
    error_at: float
    credential_expires: float


class ShownInstance(BaseModel):
    """An instance of a connector."""

    instance: str
    connector: str
    party: str
    paused: bool = Field(
        description="The hub asks and delivers nothing; what the system sends is still taken"
    )
    reason: str = Field(description="What was said when it was paused or resumed last")
    parts: list[ShownPart]


class ShownInstances(BaseModel):
    """All of them."""

    instances: list[ShownInstance]


class Why(BaseModel):
    """Why an instance is paused or resumed."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(default="", max_length=500, description="For others to read")


@router.get("")
async def list_instances(state: Operator) -> ShownInstances:
    """Every configured instance, with its sources and sinks."""
    return ShownInstances(instances=[_shown(state, one) for one in state.loaded.fleet.members.values()])


@router.get("/{name}")
async def show_instance(name: str, state: Operator) -> ShownInstance:
    """One instance."""
    return _shown(state, _member(state, name))


@router.post("/{name}/pause")
async def pause_instance(name: str, why: Why, state: Operator) -> ShownInstance:
    """Have it ask and deliver nothing until it is resumed. What it was doing is finished, what waits is kept."""
    return await _say(state, name, why, paused=True)


@router.post("/{name}/resume")
async def resume_instance(name: str, why: Why, state: Operator) -> ShownInstance:
    """Have it go on, after a pause or a halt."""
    return await _say(state, name, why, paused=False)


async def _say(state: Gateway, name: str, why: Why, *, paused: bool) -> ShownInstance:
    member = _member(state, name)
    before = state.oversight.controls.of(name)
    await state.ingest.put(control_output(name, paused, why.reason))
    await state.until(lambda: state.oversight.controls.of(name) != before)
    return _shown(state, member)


def _member(state: Gateway, name: str) -> Member:
    member = state.loaded.fleet.members.get(name)
    if member is None:
        raise HTTPException(404, "No instance of this name is configured.")
    return member


def _shown(state: Gateway, member: Member) -> ShownInstance:
    instance = member.instance
    said = state.oversight.controls.of(instance.name)
    used = dict.fromkeys((*member.sources, *member.sinks))
    return ShownInstance(
        instance=instance.name,
        connector=instance.connector,
        party=instance.party,
        paused=said.paused,
        reason=said.reason,
        parts=[_part(state, one) for one in used],
    )


def _part(state: Gateway, part: Connector[Any]) -> ShownPart:
    condition = state.health.conditions.of(part.key)
    return ShownPart(
        name=part.name,
        kind=part.kind,
        takes=list(part.takes) if isinstance(part, WebhookSource) else [],
        state=condition.state,
        good_at=condition.good_at,
        event_at=condition.event_at,
        error=condition.error,
        error_at=condition.error_at,
        credential_expires=condition.credential_expires,
    )
