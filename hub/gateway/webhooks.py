"""The way in for webhooks: verify, keep the bytes, answer. Understanding comes later, in a worker."""

from __future__ import annotations

from time import time

from prometheus_client import Counter, Histogram
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from hub.gateway.problems import problem
from hub.journal.entry import Entry
from hub.sdk.connector import Instance
from hub.sdk.errors import Unauthorised
from hub.sdk.fleet import Fleet
from hub.sdk.webhook import Request, WebhookSource, outline_of
from hub.stream import topics
from hub.stream.ingest import Ingest, KafkaAway
from hub.stream.records import Output
from hub.stream.stage import journal_output
from hub.stream.translate import INSTANCE, RAW_ID, SOURCE

RECEIVED = Counter("hub_webhooks_total", "Webhooks by instance and answer", ["instance", "answer"])
ACCEPT_SECONDS = Histogram("hub_webhook_accept_seconds", "From the request's arrival to its answer")


class Webhooks:
    """`POST /webhooks/<instance>`."""

    def __init__(self, fleet: Fleet, ingest: Ingest, max_body_bytes: int) -> None:
        self._fleet = fleet
        self._ingest = ingest
        self._max_body_bytes = max_body_bytes
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
            response = await self._receive(http, source)
            RECEIVED.labels(name, str(response.status_code)).inc()
            return response

    async def _receive(self, http: HttpRequest, source: WebhookSource[object, object]) -> Response:  # type: ignore[type-var]
        body = await self._body(http)
        if body is None:
            return problem(413, "Body too large", f"The limit is {self._max_body_bytes} bytes.")
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
        try:
            await self._ingest.put(Output(topic, source.raw_key(body, outline).encode(), body, headers))
        except KafkaAway as away:
            return problem(503, "Try again later", str(away), {"retry-after": "5"})
        return Response(status_code=202, headers={"hub-record-id": raw_id})

    async def _body(self, http: HttpRequest) -> bytes | None:
        """The whole body, or None as soon as it is known to be too long."""
        declared = http.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            return None
        chunks, size = [], 0
        async for chunk in http.stream():
            size += len(chunk)
            if size > self._max_body_bytes:
                return None
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
