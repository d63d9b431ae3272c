"""A partner as it behaves, behind the BaRS proxy and behind an MLLP listener, bad days included."""

from __future__ import annotations

import json
import uuid
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from starlette.requests import Request as Incoming
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.care_messages.canonical import SERVICE_ID
from connectors.care_messages.samples import (
    COUNCIL,
    DESK,
    HOSPITAL,
    SERVICE_IDS,
    WARD,
    Conversation,
    resource,
)
from hub.sdk.clock import Clock
from hub.sdk.mllp_simulator import MllpSimulator
from hub.sdk.simulator import Listener

#: Pauses before a sender repeats a message, in seconds of the simulator's clock.
PAUSES = (2, 5, 30, 120, 600)
_REPEATED = frozenset({408, 429, 503, 504})
_WITHDRAWN = ("revoked", "entered-in-error")


@cache
def _made_key() -> RSAKey:
    return RSAKey.generate_key(2048, private=True)


@dataclass
class Held:
    """A referral as the partner holds it: status, newest version, and every message that it took."""

    status: str
    version: str
    bundles: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Sent:
    """A message that the partner sent: its ids, and the answers to its attempts (0 for none)."""

    request_id: str
    correlation_id: str
    body: bytes
    answers: list[int] = field(default_factory=list)


class CareSimulator(MllpSimulator):
    """The BaRS proxy with its token endpoint, and behind it one partner that takes messages and sends its own; the
    same partner's HL7 v2 system, at `mllp_port`.

    Set `webhook_url` to `/webhooks/<instance>` of the hub. As a receiver it knows a message by X-Request-Id and
    Bundle.id and answers a repeat 409 `duplicate`; a change to a withdrawn or newer referral is 409 `conflict`.
    As a sender it repeats on 408, 429, 503, 504 and without an answer: same bytes, same ids.
    Faults besides those of `MllpSimulator`: `unmirrored` (an answer without the ids), `expired` (the token no longer
    holds), and for what it sends, `twice` and `late`.
    """

    bad_days: ClassVar[dict[str, dict[str, float]]] = MllpSimulator.bad_days | {
        "too many requests": {"429": 1.0},
        "receiver away": {"503": 1.0},
        "receiver errors": {"500": 0.5},
        "answers of another": {"unmirrored": 1.0},
        "tokens expire": {"expired": 0.5},
        "web pages": {"garbage": 1.0},
        "messages twice": {"twice": 1.0},
        "messages overtake": {"late": 0.6, "twice": 0.3},
    }

    def __init__(self, clock: Clock | None = None, seed: int | None = None, *, private_key: str = "") -> None:
        """`private_key` (PEM) is the one whose public half is registered; one that is made otherwise."""
        super().__init__(clock, seed)
        self._key = RSAKey.import_key(private_key) if private_key else _made_key()
        self.held: dict[str, Held] = {}
        self.sent: list[Sent] = []
        self.tokens: set[str] = set()
        self.token = "simulated-proxy-token"  # noqa: S105 - opens nothing
        self._taken: set[tuple[str, str]] = set()
        self._assertions: set[str] = set()
        self._client: httpx2.AsyncClient | None = None

    def listeners(self) -> list[Listener]:
        """HTTP and MLLP."""
        return [self.serve_http, self.serve_mllp]

    def effects(self) -> Counter[str]:
        """Messages taken, by X-Request-Id or MSH-10; a repeat has no effect."""
        return Counter(request_id for request_id, _ in self._taken) + super().effects()

    def routes(self) -> list[BaseRoute]:
        """What the proxy answers."""
        return [
            Route("/oauth2/token", self._give_token, methods=["POST"]),
            Route("/FHIR/R4/$process-message", self._process, methods=["POST"]),
        ]

    def config(self) -> dict[str, Any]:
        """Settings of an instance whose partner this is, a hospital or a council."""
        return {
            "speaks": ("bars", "mllp"),
            "addresses": (HOSPITAL, COUNCIL, WARD, DESK),
            "partners": {HOSPITAL: "rxx", COUNCIL: "E08000025", WARD: "rxx", DESK: "E08000025"},
            "service_ids": SERVICE_IDS,
            "inbound_token": self.token,
            "base_url": f"{self.url}/FHIR/R4",
            "token_url": f"{self.url}/oauth2/token",
            "api_key": "simulated-api-key",
            "key_id": "test-1",
            "private_key": self._key.as_pem(private=True).decode(),
            "peer_host": "127.0.0.1",
            "peer_port": self.mllp_port,
        }

    def refusal(self, status: int) -> Response:
        """Bad days in BaRS's words."""
        codes = {429: "SEND_TOO_MANY_REQUESTS", 500: "REC_SERVER_ERROR", 503: "REC_SERVICE_UNAVAILABLE"}
        return _outcome(status, codes.get(status, "SEND_BAD_REQUEST"), "transient")

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers with which the proxy brings `body`."""
        return self._headers(str(uuid.uuid4()), str(uuid.uuid4()))

    def produce(self) -> int:
        """One message of every kind, as two referrals' lives: by BaRS, or to `mllp://…` by HL7 v2."""
        if self.webhook_url.startswith("mllp:"):
            return super().produce()
        first, second = Conversation(self.clock.now()), Conversation(self.clock.now())
        self.refer(first)
        self.say(first, "request_update", 60)
        self.say(first, "response_accepted", 90)
        self.say(second, "response_rejected", 30)
        self.say(first, "request_cancel", 120)
        return 5

    def messages(self) -> list[bytes]:
        """One HL7 v2 message of every kind."""
        talk = Conversation(self.clock.now())
        return [talk.hl7(name) for name in ("ref_i12", "ref_i13", "ref_i14", "rri_accepted", "rri_rejected")]

    def refer(self, conversation: Conversation | None = None) -> Conversation:
        """A person is referred; gives the conversation."""
        conversation = conversation or Conversation(self.clock.now())
        self.say(conversation, "request_new")
        return conversation

    def say(self, conversation: Conversation, fixture: str, after_s: float = 0) -> Sent:
        """Send a fixture as a message of a conversation."""
        body = conversation.bundle(fixture, after_s)
        sent = Sent(str(uuid.uuid4()), conversation.correlation_id, body)
        self.sent.append(sent)
        for _ in range(2 if self.draw("twice") else 1):
            self.spawn(self._post(sent, self.random.uniform(0, 30) if self.draw("late") else 0.0))
        return sent

    def decide(self, correlation_id: str, accept: bool = True) -> Sent:
        """The partner answers a referral that it holds, echoing what BaRS has it echo."""
        request = self.held[correlation_id].bundles[0]
        begun = Conversation(self.clock.now(), correlation_id, request["id"])
        told = json.loads(begun.bundle("response_accepted" if accept else "response_rejected"))
        header, asked = resource(told, "MessageHeader"), resource(request, "MessageHeader")
        header["destination"][0]["endpoint"] = asked["source"]["endpoint"]
        header["source"]["endpoint"] = asked["destination"][0]["endpoint"]
        resource(told, "ServiceRequest")["identifier"] = resource(request, "ServiceRequest").get(
            "identifier", []
        )
        resource(told, "Patient").update(identifier=resource(request, "Patient").get("identifier", []))
        sent = Sent(str(uuid.uuid4()), correlation_id, json.dumps(told).encode())
        self.sent.append(sent)
        self.spawn(self._post(sent, 0.0))
        return sent

    async def stopped(self) -> None:
        """Close the sender's connections."""
        if self._client:
            await self._client.aclose()
            self._client = None

    def _headers(self, request_id: str, correlation_id: str) -> dict[str, str]:
        target = {"value": COUNCIL.rpartition("|")[2], "system": COUNCIL.rpartition("|")[0]}
        return {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/fhir+json; version=1.4.0",
            "X-Request-Id": request_id,
            "X-Correlation-Id": correlation_id,
            "NHSD-Target-Identifier": b64encode(json.dumps(target).encode()).decode(),
        }

    async def _post(self, sent: Sent, wait: float) -> None:
        if wait:
            await self.clock.sleep(wait)
        self._client = self._client or httpx2.AsyncClient(timeout=5, trust_env=False)
        headers = self._headers(sent.request_id, sent.correlation_id)
        for pause in (*PAUSES, None):
            status = 0
            with suppress(httpx2.RequestError):
                answer = await self._client.post(
                    f"{self.webhook_url}/$process-message", content=sent.body, headers=headers
                )
                status = answer.status_code
            sent.answers.append(status)
            if pause is None or (status and status not in _REPEATED):
                return
            await self.clock.sleep(pause)

    async def _give_token(self, incoming: Incoming) -> Response:
        form = dict(parse_qsl((await incoming.body()).decode()))
        try:
            token = jwt.decode(form.get("client_assertion", ""), self._key, algorithms=["RS512"])
        except (JoseError, ValueError):
            return JSONResponse({"error": "invalid_client"}, 401)
        claims = token.claims
        fresh = claims.get("jti") not in self._assertions and claims.get("aud") == f"{self.url}/oauth2/token"
        if form.get("grant_type") != "client_credentials" or not fresh or not token.header.get("kid"):
            return JSONResponse({"error": "invalid_request"}, 400)
        self._assertions.add(claims["jti"])
        given = uuid.uuid4().hex
        self.tokens.add(given)
        return JSONResponse({"access_token": given, "expires_in": "599", "token_type": "Bearer"})

    async def _process(self, incoming: Incoming) -> Response:
        if self.draw("expired"):
            self.tokens.clear()
        if incoming.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return _outcome(401, "SEND_UNAUTHORIZED", "expired")
        request_id = incoming.headers.get("x-request-id", "")
        correlation_id = incoming.headers.get("x-correlation-id", "")
        mirrored = {"x-request-id": request_id, "x-correlation-id": correlation_id}
        if refused := _unroutable(incoming.headers.get("nhsd-target-identifier", "")):
            return refused
        for name in ("x-request-id", "x-correlation-id", "use-context"):
            if not incoming.headers.get(name):
                return _outcome(400, "REC_BAD_REQUEST", "required", mirrored)
        bundle = json.loads(await incoming.body())
        if not bundle.get("meta", {}).get("versionId"):
            return _outcome(422, "REC_UNPROCESSABLE_ENTITY", "invariant", mirrored)
        if (request_id, bundle["id"]) in self._taken:
            return _outcome(409, "REC_CONFLICT", "duplicate", mirrored)
        if not self._apply(correlation_id, bundle):
            return _outcome(409, "REC_CONFLICT", "conflict", mirrored)
        self._taken.add((request_id, bundle["id"]))
        if self.draw("unmirrored"):
            return _outcome(200, "RESOURCE_CREATED", "informational")
        return _outcome(200, "RESOURCE_CREATED", "informational", mirrored)

    def _apply(self, correlation_id: str, bundle: dict[str, Any]) -> bool:
        """Whether a message is in force: newest version, and none after a withdrawal."""
        header, request = resource(bundle, "MessageHeader"), resource(bundle, "ServiceRequest")
        held = self.held.setdefault(correlation_id, Held("unknown", ""))
        if header["eventCoding"]["code"].endswith("response"):
            held.status = resource(bundle, "Encounter").get("status", "answered")
            held.bundles.append(bundle)
            return True
        version, withdrawn = request["meta"]["lastUpdated"], request["status"] in _WITHDRAWN
        newer = not held.version or _at(version) >= _at(held.version)
        if held.status in _WITHDRAWN or not (withdrawn or newer):
            return False
        held.status, held.version = request["status"], version
        held.bundles.append(bundle)
        return True


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _unroutable(target: str) -> Response | None:
    """The proxy's refusal of a target that it cannot read or has no endpoint for; None for the partner."""
    try:
        told = json.loads(b64decode(target, validate=True))
    except ValueError:
        return _outcome(400, "PROXY_BAD_REQUEST", "400")
    if not isinstance(told, dict) or told.keys() != {"value", "system"} or told["system"] != SERVICE_ID:
        return _outcome(400, "PROXY_BAD_REQUEST", "structure")
    if f"{SERVICE_ID}|{told['value']}" not in (HOSPITAL, COUNCIL):
        return _outcome(404, "PROXY_NOT_FOUND", "not-found")
    return None


def _outcome(status: int, code: str, kind: str, headers: Mapping[str, str] | None = None) -> Response:
    system = "https://fhir.nhs.uk/Codesystem/http-error-codes"
    severity = "information" if status < 300 else "error"
    issue = {"severity": severity, "code": kind, "details": {"coding": [{"system": system, "code": code}]}}
    told = {"resourceType": "OperationOutcome", "issue": [issue | {"diagnostics": "simulated"}]}
    return JSONResponse(told, status, dict(headers or {}), media_type="application/fhir+json")
