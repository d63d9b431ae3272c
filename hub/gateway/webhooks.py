"""The way in for webhooks: verify, keep the bytes, answer. Understanding comes later, in a worker."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from time import time
from typing import Any

import structlog
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hub.config import Gateway as Settings
from hub.gateway.problems import problem
from hub.gateway.room import Full, Place, Room
from hub.journal.entry import Entry
from hub.sdk.errors import Reject, Unauthorised
from hub.sdk.fleet import Fleet
from hub.sdk.webhook import Answer, Landed, Request, WebhookSource
from hub.stream import failpoints
from hub.stream.conditions import Conditions
from hub.stream.ingest import Ingest, KafkaAway
from hub.stream.raw import raw_output
from hub.stream.stage import journal_output

log = structlog.get_logger()

INSTANCE_LABEL = "connector_instance"
"""Not `instance`, by which Prometheus names whom it asked."""

RECEIVED = Counter("hub_webhooks_total", "Webhooks by instance and answer", [INSTANCE_LABEL, "answer"])
ACCEPT_SECONDS = Histogram("hub_webhook_accept_seconds", "From the request's arrival to its answer")

#: Of the path of every webhook.
PREFIX = "/webhooks/"

_REMEMBERED = 50_000

_SOON = {"retry-after": "5"}

#: Headers of a refusal that stand in whatever words it is put.
_TRANSPORT = ("retry-after", "connection")

AnySource = WebhookSource[Any, Any]


class _Refused(Exception):
    """The hub's own answer to what is not let in."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.answer = answer


class Webhooks:
    """`/webhooks/<instance>` and what is below it: to the source that takes or serves the method and path.

    An ASGI app of its own: what Starlette and FastAPI do for a request is more than a webhook costs otherwise.
    """

    def __init__(
        self, fleet: Fleet, ingest: Ingest, conditions: Conditions, settings: Settings, room: Room
    ) -> None:
        self._fleet = fleet
        self._ingest = ingest
        self._conditions = conditions
        self._max_body_bytes = settings.max_body_bytes
        self._body_timeout_s = settings.body_timeout_s
        self._room = room
        self._refused_in: dict[str, int] = {}
        self._landed: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self.receive(HttpRequest(scope, receive))
        await answer(scope, receive, send)

    async def receive(self, http: HttpRequest) -> Response:
        """2xx means that the record is in Kafka on every in-sync replica; anything else claims nothing."""
        with ACCEPT_SECONDS.time():
            name, _, path = http.scope["path"].removeprefix(PREFIX).partition("/")
            member = self._fleet.members.get(name)
            if member is None or not member.webhooks:
                RECEIVED.labels("unknown", "404").inc()
                return problem(404, "No such connector", "No connector instance of this name takes webhooks.")
            response = await self._dispatch(http, f"/{path}", member.webhooks)
            RECEIVED.labels(name, str(response.status_code)).inc()
            return response

    async def _dispatch(self, http: HttpRequest, path: str, sources: tuple[AnySource, ...]) -> Response:
        for source in sources:
            if source.matches(http.method, path, source.takes):
                return await self._answered(http, path, source, takes=True)
            if source.matches(http.method, path, source.serves):
                return await self._answered(http, path, source, takes=False)
        allowed = {
            pattern.partition(" ")[0]
            for source in sources
            for pattern in (*source.takes, *source.serves)
            if source.matches(pattern.partition(" ")[0], path, (pattern,))
        }
        if not allowed:
            return problem(404, "No such path", "The connector takes nothing at this path.")
        headers = {"allow": ", ".join(sorted(allowed))}
        return problem(405, "Method not allowed", "The connector takes other methods here.", headers)

    async def _answered(self, http: HttpRequest, path: str, source: AnySource, *, takes: bool) -> Response:
        """Whoever cannot be served is told before anything is read of the body, and without asking anybody."""
        headers = {name.lower(): value for name, value in http.headers.items()}
        request = Request(headers, b"", http.method, path, dict(http.query_params))
        error: Reject | None = None
        try:
            size = self._declared(headers)
            if takes and self._ingest.away:
                raise KafkaAway("Kafka does not answer.")
            with self._room.enter(source.instance.name, size) as place:
                request = replace(request, body=await self._body(http, place))
                return await (self._take if takes else self._serve)(source, request)
        except ClientDisconnect:
            return Response(status_code=408)  # which nobody reads
        except _Refused as refused:
            answer = refused.answer
        except Full as full:
            answer = problem(429 if full.mine else 503, "Try again later", str(full), {"retry-after": "1"})
        except KafkaAway as away:
            answer = problem(503, "Try again later", str(away), _SOON)
        except Unauthorised as forged:
            error, answer = forged, problem(401, "Not genuine", forged.reason)
        except Reject as reject:
            error, answer = reject, problem(422, "Not acceptable", reject.reason)
        if error is not None:
            await self._note_refusal(source, error)
        return self._refusal(source, request, answer, error)

    def _declared(self, headers: Mapping[str, str]) -> int:
        """How long the body is said to be, 0 if that is not said. Raises _Refused before anything of it is read."""
        declared = headers.get("content-length", "")
        size = int(declared) if declared.isdecimal() else 0
        if size > self._max_body_bytes:
            raise _Refused(self._too_large())
        return size

    def _too_large(self) -> Response:
        return problem(413, "Body too large", f"The limit is {self._max_body_bytes} bytes.")

    async def _body(self, http: HttpRequest, place: Place) -> bytes:
        """The whole body, if it comes in time and is not too long. Raises _Refused, Full and ClientDisconnect."""
        chunks, size = [], 0
        try:
            async with asyncio.timeout(self._body_timeout_s):
                async for chunk in http.stream():
                    size += len(chunk)
                    if size > self._max_body_bytes:
                        raise _Refused(self._too_large())
                    if size > place.bytes:  # of a body that did not say how long it is
                        place.grow(size - place.bytes)
                    chunks.append(chunk)
        except TimeoutError:
            told = f"The body did not arrive within {self._body_timeout_s:.0f} seconds."
            raise _Refused(problem(408, "Too slow", told, {"connection": "close"})) from None
        return b"".join(chunks)

    async def _take(self, source: AnySource, request: Request) -> Response:
        source.verify(request)
        raw_id = source.raw_id(request)
        kept = {name: request.headers[name] for name in source.keeps if name in request.headers}
        output = raw_output(source, raw_id, source.raw_key(request), request.body, kept)
        await failpoints.at("accept")
        await self._ingest.put(output)
        await failpoints.at("accepted")
        self._conditions.good(source, event=True)
        landed = Landed(raw_id, raw_id in self._landed)
        self._landed[raw_id] = None
        if len(self._landed) > _REMEMBERED:
            self._landed.popitem(last=False)
        try:
            answer = source.answer(request, landed)
        except Exception as error:
            # The bytes are safe, so the caller must hear that they are.
            log.exception("answer-failed", instance=source.instance.name, error=type(error).__name__)
            answer = Answer()
        return _response(answer, {"hub-record-id": raw_id})

    async def _serve(self, source: AnySource, request: Request) -> Response:
        return _response(await source.serve(request), {})

    def _refusal(
        self, source: AnySource, request: Request, refused: Response, error: Reject | None
    ) -> Response:
        """In the protocol's words where the source has some."""
        own = source.refusal(request, refused.status_code, error)
        if own is None:
            return refused
        kept = {name: refused.headers[name] for name in _TRANSPORT if name in refused.headers}
        return _response(own, kept)

    async def _note_refusal(self, source: AnySource, refusal: Reject) -> None:
        """The fact alone, and at most once a minute: a flood of forgeries must not fill the journal."""
        instance = source.instance
        self._conditions.bad(source, refusal.reason)
        minute = int(time() // 60)
        if self._refused_in.get(instance.name) == minute:
            return
        self._refused_in[instance.name] = minute
        entry = Entry(
            at=time(),
            stage="accept",
            outcome="refused",
            event_id=f"refused-{instance.name}-{minute}",
            source=instance.source,
            party=instance.party,
            reason=refusal.reason,
        )
        try:
            await self._ingest.put(journal_output(entry))
        except KafkaAway:
            return  # it is counted all the same


def _response(answer: Answer, headers: dict[str, str]) -> Response:
    return Response(answer.body, answer.status, {**headers, **answer.headers})
