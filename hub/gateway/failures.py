"""Dead letters under `/v1/failures`: what went wrong, what is in them, and redriving, editing, archiving them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import msgspec
import structlog
from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field

from hub.delivery.dead_letter import DeadLetter, own_headers
from hub.gateway.api import Operator, found_or_404
from hub.gateway.jobs import ShownJob, begin, new_job
from hub.gateway.state import Gateway
from hub.journal.rows import Failure
from hub.registry.codec import CodecError, schema_id
from hub.sdk.errors import Reject
from hub.stream.editing import changes, contents_of, edited_copy, faults, value_of, with_fields
from hub.stream.jobs import Item
from hub.stream.parked import ticket_of
from hub.stream.picking import read_one
from hub.stream.reading import Message
from hub.stream.redrive import in_order, item_of
from hub.stream.waiting import with_those_behind

log = structlog.get_logger()

router = APIRouter(prefix="/v1/failures", tags=["failures"])

#: Dead letters that a dry run shows one by one.
_SHOWN = 20

#: Records per second: a receiver that was down for a day must not fall over what it missed.
RATE = 50.0
_ARCHIVE_RATE = 1_000.0

Status = Literal["open", "redriven", "archived"]


class Chosen(BaseModel):
    """Which open dead letters are meant: by id, of one kind (`fingerprint`), or all."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] = Field(default=[], max_length=10_000)
    fingerprint: str = ""
    all: bool = False
    dry_run: bool = Field(default=True, description="Say what would be done, and do nothing")


class Redrive(Chosen):
    """What to send again, and how fast."""

    rate: float = Field(default=RATE, gt=0, le=1_000, description="Records per second at most")


class Archive(Chosen):
    """What will not be sent again, and why not."""

    reason: str = Field(min_length=3, max_length=500, description="For those who ask later; no personal data")


class Edit(BaseModel):
    """How to mend a dead letter: some fields, or the whole of its data."""

    model_config = ConfigDict(extra="forbid")

    fields: dict[str, str] = Field(default={}, description="Dotted names to texts, or to JSON")
    data: Any = Field(default=None, description="The whole data instead: JSON, or text for a raw text record")
    dry_run: bool = True


class Meant(BaseModel):
    """What was chosen, and the job that sees to it; none for a dry run, or where nothing was chosen."""

    chosen: int = Field(description="Dead letters, those behind parked ones included")
    behind: int = Field(description="Of those, added since they wait behind chosen ones")
    dry_run: bool
    first: list[dict[str, Any]] = Field(description="The first of them, in the order in which they go")
    job: ShownJob | None = None


class Edited(BaseModel):
    """What an edit changes, and whether the stage would take the result."""

    changes: list[dict[str, Any]] = Field(description="`field`, `before`, `after`: may hold personal data")
    faults: list[str] = Field(description="Why it would be refused again; nothing is written then")
    dry_run: bool
    copy_id: str = ""
    job: ShownJob | None = None


@router.get("")
async def list_failures(state: Operator, status: Status = "open") -> dict[str, Any]:
    """Dead letters by kind, the most frequent first."""
    return {"failures": msgspec.to_builtins(await asyncio.to_thread(state.journal.failures, status))}


@router.get("/letters")
async def list_letters(
    fingerprint: str,
    state: Operator,
    status: Status = "open",
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """Dead letters of one kind, newest first."""
    found = await asyncio.to_thread(state.journal.failures_like, fingerprint, status, limit)
    return {"failures": msgspec.to_builtins(found)}


@router.get("/of")
async def failures_of(event: str, state: Operator) -> dict[str, Any]:
    """The dead letters of one event or raw record."""
    return {"failures": msgspec.to_builtins(await asyncio.to_thread(state.journal.failures_of, event))}


@router.get("/{failure_id}")
async def show_failure(failure_id: str, state: Operator, payload: bool = False) -> dict[str, Any]:
    """One dead letter: why, whence, its headers, what became of it. What it holds only with `payload`.

    It may hold personal data; that it was shown is logged.
    """
    told: dict[str, Any] = await found_or_404(state.journal.failure, failure_id)
    message, letter = await _read(state, told)
    mark = state.jobs.mark(failure_id)
    told["settled"] = msgspec.to_builtins(mark) if mark else None
    told["trace"] = f"hub events trace {told['event_id']}"
    told["headers"] = {}
    if message is None or letter is None:
        return {**told, "schema_id": 0, "gone": True}
    told["headers"] = _texts(own_headers(message.headers()))
    told["schema_id"] = letter.schema_id or _schema_id(letter.topic, message.value())
    if ticket := ticket_of(message.headers()):
        told["parked"] = {"behind": ticket.park, "number": ticket.number, "place": ticket.place}
    if payload:
        log.info("failure-payload-shown", failure=failure_id)
        told["payload"] = contents_of(letter.topic, message.value() or b"", state.loaded.registry).shown()
    return told


@router.post("/redrive")
async def redrive(asked: Redrive, state: Operator) -> Meant:
    """Send dead letters again to where they failed, in the background; a dry run unless told otherwise.

    Each is sent once, however often this is asked for. Those that wait behind parked ones go with them.
    """
    chosen = await _chosen(state, asked)
    every = await asyncio.to_thread(with_those_behind, state.journal, chosen)
    meant = Meant(
        chosen=len(every), behind=len(every) - len(chosen), dry_run=asked.dry_run, first=_first(every)
    )
    if every and not asked.dry_run:
        items = [item_of(failure) for failure in every]
        meant.job = await begin(state, new_job("redrive", _what(asked), items, asked.rate), items)
    return meant


@router.post("/archive")
async def archive(asked: Archive, state: Operator) -> Meant:
    """Give dead letters up, with a reason: they are kept, and not listed as open any more."""
    chosen = in_order(await _chosen(state, asked))
    meant = Meant(chosen=len(chosen), behind=0, dry_run=asked.dry_run, first=_first(chosen))
    if chosen and not asked.dry_run:
        items = [item_of(failure) for failure in chosen]
        job = new_job("archive", _what(asked), items, _ARCHIVE_RATE, reason=asked.reason)
        meant.job = await begin(state, job, items)
    return meant


@router.post("/{failure_id}/edit")
async def edit(failure_id: str, asked: Edit, state: Operator) -> Edited:
    """Redrive an edited copy of a dead letter; the original stays as it was, for audit.

    The copy is judged first as the stage where it failed would judge it now.
    """
    told = await found_or_404(state.journal.failure, failure_id)
    if state.jobs.mark(failure_id):
        raise HTTPException(409, "That dead letter was sent again, or archived, already.")
    message, letter = await _read(state, told)
    if message is None or letter is None:
        raise HTTPException(410, "That dead letter is past its retention.")
    registry = state.loaded.registry
    contents = contents_of(letter.topic, message.value() or b"", registry)
    try:
        data = asked.data if asked.data is not None else with_fields(contents, asked.fields)
        edited = Edited(changes=list(changes(contents.data, data)), faults=[], dry_run=asked.dry_run)
        value = value_of(contents, data)
    except Reject as reject:
        raise HTTPException(422, reject.reason) from None
    edited.faults = await asyncio.to_thread(faults, state.trial, message, letter, value)
    if edited.changes and not edited.faults and not asked.dry_run:
        await _send_copy(state, edited, message, letter, value)
    return edited


async def _send_copy(
    state: Gateway, edited: Edited, message: Message, letter: DeadLetter, value: bytes
) -> None:
    edited.copy_id, copy = edited_copy(message, letter, value)
    partition, offset = await state.ingest.put(copy)
    items = [Item(edited.copy_id, copy.topic, partition, offset)]
    names = ", ".join(change["field"] for change in edited.changes[:5])
    edited.job = await begin(
        state, new_job("redrive", f"edited copy of {letter.id} ({names})", items, RATE), items
    )


async def _chosen(state: Gateway, asked: Chosen) -> list[Failure]:
    if not (asked.ids or asked.fingerprint or asked.all):
        raise HTTPException(422, "Name ids, a fingerprint, or all.")
    found = await asyncio.to_thread(state.journal.open_failures, asked.ids, asked.fingerprint)
    return [failure for failure in found if not state.jobs.mark(failure.id)]


async def _read(state: Gateway, told: dict[str, Any]) -> tuple[Message | None, DeadLetter | None]:
    place = (told["position_topic"], told["position_partition"], told["position_offset"])
    message = await asyncio.to_thread(read_one, state.servers, *place)
    letter = DeadLetter.from_headers(message.headers()) if message else None
    return (message, letter) if letter and letter.id == told["id"] else (None, None)


def _first(failures: Sequence[Failure]) -> list[dict[str, Any]]:
    return [
        {name: getattr(one, name) for name in ("id", "at", "stage", "reason", "type", "subject", "party")}
        | {"to": one.origin_topic, "only": one.subscription or one.route}
        for one in failures[:_SHOWN]
    ]


def _what(asked: Chosen) -> str:
    if asked.ids:
        return asked.ids[0] if len(asked.ids) == 1 else f"{len(asked.ids)} by id"
    return f"kind {asked.fingerprint}" if asked.fingerprint else "all open ones"


def _texts(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in headers if value is not None}


def _schema_id(topic: str, value: bytes | None) -> int:
    try:
        return 0 if topic.startswith("raw.") else schema_id(value or b"")
    except CodecError:
        return 0
