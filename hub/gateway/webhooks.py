"""The way in for webhooks: verify, keep the bytes, answer. Understanding comes later, in a worker."""

from __future__ import annotations

import asyncio
from time import time

from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from hub.config import Gateway as Settings
from hub.gateway.problems import problem
from hub.gateway.room import Full, Place, Room
from hub.journal.entry import Entry
from hub.sdk.connector import Instance
from hub.sdk.errors import Unauthorised
from hub.sdk.fleet import Fleet
from hub.sdk.webhook import Request, WebhookSource, outline_of
from hub.stream import failpoints, topics
from hub.stream.ingest import Ingest, KafkaAway
from hub.stream.records import Output
from hub.stream.stage import journal_output
from hub.stream.translate import INSTANCE, RAW_ID, SOURCE

INSTANCE_LABEL = "connector_instance"
"""Not `instance`, by which Prometheus names whom it asked."""

RECEIVED = Counter("hub_webhooks_total", "Webhooks by instance and answer", [INSTANCE_LABEL, "answer"])
_SOON = {"retry-after": "5"}
ACCEPT_SECONDS = Histogram("hub_webhook_accept_seconds", "From the request's arrival to its answer")


class Webhooks:
    """`POST /webhooks/<instance>`."""

    def __init__(self, fleet: Fleet, ingest: Ingest, settings: Settings, room: Room) -> None:
        self._fleet = fleet
        self._ingest = ingest
        self._max_body_bytes = settings.max_body_bytes
        self._body_timeout_s = settings.body_timeout_s
        self._room = room
        self._refused_in: dict[str, int] = {}

    async def receive(self, http: HttpRequest) -> Response:
        """2xx means that the record is in Kafka on every in-sync replica; anything else claims nothing."""
        with ACCEPT_SECONDS.time():
            name = http.path_params["instance"]
            member = self._fleet.members.get(name)
            source = member.webhook if member else None
            if source is None:
                RECEIVED.labels("unknown", "404").inc()
                return problem(404, "No such connector", "No connector instance of this name takes webhooks.")
            response = await self._admit(http, source)
            RECEIVED.labels(name, str(response.status_code)).inc()
            return response

    async def _admit(self, http: HttpRequest, source: WebhookSource[object, object]) -> Response:  # type: ignore[type-var]
        """Whoever cannot be served is told before anything is read of the body, and without asking anybody."""
        declared = http.headers.get("content-length", "")
        size = int(declared) if declared.isdigit() else 0
        if size > self._max_body_bytes:
            return self._too_large()
        if self._ingest.away:
            return problem(503, "Try again later", "Kafka does not answer.", _SOON)
        try:
            with self._room.enter(source.instance.name, size) as place:
                return await self._receive(http, source, place)
        except Full as full:
            return problem(429 if full.mine else 503, "Try again later", str(full), {"retry-after": "1"})

    async def _receive(
        self,
        http: HttpRequest,
        source: WebhookSource[object, object],  # type: ignore[type-var]
        place: Place,
    ) -> Response:
        try:
            async with asyncio.timeout(self._body_timeout_s):
                body = await self._body(http, place)
        except TimeoutError:
            told = f"The body did not arrive within {self._body_timeout_s:.0f} seconds."
            return problem(408, "Too slow", told, {"connection": "close"})
        except ClientDisconnect:
            return Response(status_code=408)  # which nobody reads
        if body is None:
            return self._too_large()
        request = Request({name.lower(): value for name, value in http.headers.items()}, body)
        try:
            source.verify(request)
        except Unauthorised as refusal:
            await self._note_refusal(source.instance, refusal)
            return problem(401, "Not genuine", refusal.reason)
        outline = outline_of(body)
        raw_id = source.raw_id(body, outline)
        headers = [
            (RAW_ID, raw_id.encode()),
            (INSTANCE, source.instance.name.encode()),
            (SOURCE, source.name.encode()),
            ("content-type", http.headers.get("content-type", "").encode()),
        ]
        topic = topics.raw(source.instance.connector)
        await failpoints.at("accept")
        try:
            await self._ingest.put(Output(topic, source.raw_key(body, outline).encode(), body, headers))
        except KafkaAway as away:
            return problem(503, "Try again later", str(away), _SOON)
        await failpoints.at("accepted")
        return Response(status_code=202, headers={"hub-record-id": raw_id})

    def _too_large(self) -> Response:
        return problem(413, "Body too large", f"The limit is {self._max_body_bytes} bytes.")

    async def _body(self, http: HttpRequest, place: Place) -> bytes | None:
        """The whole body, or None as soon as it is known to be too long. Raises Full."""
        chunks, size = [], 0
        async for chunk in http.stream():
            size += len(chunk)
            if size > self._max_body_bytes:
                return None
            if size > place.bytes:  # of a body that did not say how long it is
                place.grow(size - place.bytes)
            chunks.append(chunk)
        return b"".join(chunks)

    async def _note_refusal(self, instance: Instance, refusal: Unauthorised) -> None:
        """The fact alone, and at most once a minute: a flood of forgeries must not fill the journal."""
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
