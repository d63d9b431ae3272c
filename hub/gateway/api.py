"""The operators' and subscribers' API under `/v1`: subscriptions, events, status."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from time import time
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from hub.delivery.subscription import AddressError, Subscription, check_types, check_url, secrets_of
from hub.gateway.state import Gateway
from hub.journal.queries import Filters, NotFound
from hub.stream import topics
from hub.stream.records import Output

router = APIRouter(prefix="/v1")
_bearer = HTTPBearer(auto_error=False, description="The operator's token, from <data-dir>/operator.token")


def gateway(request: Request, _: Annotated[object, Depends(_bearer)]) -> Gateway:
    """The gateway's parts, for a caller who has the operator's token: `OperatorsOnly` let nobody else in."""
    state: Gateway = request.app.state.gateway
    return state


Operator = Annotated[Gateway, Depends(gateway)]


class NewSubscription(BaseModel):
    """What a subscription needs."""

    model_config = ConfigDict(extra="forbid")

    party: str = Field(description="Whose inbox: a party of this hub")
    url: str = Field(description="Where events are posted", max_length=2000)
    types: list[str] = Field(
        default=["*"], description="Event types, `*` for all", min_length=1, max_length=50
    )
    mode: Literal["structured", "binary"] = "structured"


async def _write(state: Gateway, topic: str, key: str, value: bytes | None) -> None:
    await state.ingest.put(Output(topic, key.encode(), value, [], partition=0))


def _shown(subscription: Subscription) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(subscription)
    return shown


@router.post("/subscriptions", status_code=201)
async def add_subscription(asked: NewSubscription, state: Operator) -> dict[str, Any]:
    """Make a subscription; the answer shows its signing secret, this once."""
    if asked.party not in state.config.parties:
        raise HTTPException(422, "party: not a party of this hub")
    try:
        check_types(tuple(asked.types))
        check_url(asked.url, allow_local=state.config.delivery.allow_local)
    except (AddressError, ValueError) as error:
        raise HTTPException(422, str(error)) from None
    subscription = Subscription(
        id=secrets.token_hex(8),
        party=asked.party,
        url=asked.url,
        types=tuple(asked.types),
        mode=asked.mode,
        created=time(),
        timeout_s=state.config.delivery.timeout_s,
    )
    await _write(state, topics.SUBSCRIPTIONS, subscription.id, subscription.to_bytes())
    await state.known(subscription.id, lambda found: found is not None)
    (secret,) = secrets_of(subscription, state.master_key, time())
    return {**_shown(subscription), "secret": secret.reveal()}


@router.get("/subscriptions")
async def list_subscriptions(state: Operator) -> dict[str, Any]:
    """All subscriptions, oldest first; secrets are never shown again."""
    return {"subscriptions": [_shown(one) for one in state.subscriptions.all()]}


def _existing(state: Gateway, subscription_id: str) -> Subscription:
    found = state.subscriptions.get(subscription_id)
    if found is None:
        raise HTTPException(404, "No such subscription.")
    return found


@router.post("/subscriptions/{subscription_id}/rotate")
async def rotate_secret(subscription_id: str, state: Operator) -> dict[str, Any]:
    """A new signing secret; the old one is valid beside it for a day."""
    rotated = _existing(state, subscription_id).rotated(time())
    await _write(state, topics.SUBSCRIPTIONS, rotated.id, rotated.to_bytes())
    # The next rotation begins from what is seen.
    await state.known(
        rotated.id, lambda found: found is None or found.secret_version >= rotated.secret_version
    )
    return {**_shown(rotated), "secret": secrets_of(rotated, state.master_key, time())[0].reveal()}


@router.delete("/subscriptions/{subscription_id}", status_code=204)
async def remove_subscription(subscription_id: str, state: Operator) -> None:
    """End a subscription; what waits for it is not delivered any more."""
    _existing(state, subscription_id)
    await _write(state, topics.SUBSCRIPTIONS, subscription_id, None)
    await state.known(subscription_id, lambda found: found is None)


@router.get("/events")
async def search_events(
    state: Operator,
    type: str = "*",
    party: str = "",
    subject: str = "",
    source: str = "",
    having: Annotated[str, Query(alias="state")] = "",
    since: float | None = None,
    until: float | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: str = "",
) -> Any:
    """Events by type pattern, party, subject, source, state and first time (epoch seconds), newest first."""
    filters: Filters = {"type": type, "party": party, "subject": subject, "source": source, "state": having}
    if since is not None:
        filters["since"] = since
    if until is not None:
        filters["until"] = until
    try:
        page = await asyncio.to_thread(state.journal.search, limit=limit, cursor=cursor, **filters)
    except ValueError as error:
        raise HTTPException(422, str(error)) from None
    return msgspec.to_builtins(page)


@router.get("/events/tail")
async def tail_events(
    state: Operator, after: int = -1, limit: Annotated[int, Query(ge=1, le=1000)] = 500
) -> Any:
    """What happened after step `after`; -1 starts now."""
    return msgspec.to_builtins(await asyncio.to_thread(state.journal.tail, after, limit))


@router.get("/events/{event_id}")
async def show_event(event_id: str, state: Operator) -> Any:
    """One event with its steps and deliveries."""
    return await found_or_404(state.journal.show, event_id)


@router.get("/cases/{any_id:path}")
async def trace_case(any_id: str, state: Operator) -> dict[str, Any]:
    """A whole case as a tree, found by the id of an event, a raw record, a correlation, or by subject."""
    return {"roots": await found_or_404(state.journal.trace, any_id)}


@router.get("/status")
async def status(state: Operator) -> dict[str, Any]:
    """The hub at a glance: what passed, what failed, what waits."""
    return await state.status()


async def found_or_404(query: Callable[[str], Any], wanted: str) -> Any:
    """What the journal has of an id, as plain values; 404 where it has nothing."""
    try:
        return msgspec.to_builtins(await asyncio.to_thread(query, wanted))
    except NotFound:
        raise HTTPException(404, "Nothing of that id is known.") from None
