"""GOV.UK Notify as it behaves: its API with signed tokens and limits, its receipts by callback, its bad days.

Behaviour and wording from alphagov/notifications-tech-docs and notifications-api (as told in public).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.govuk_notify.simulated.rules import ApiError, checked, missing, personalised
from hub.sdk.clock import Clock
from hub.sdk.simulator import LOST, Simulator

SERVICE, SECRET = "26785a09-ab16-4eb0-8407-a37497a57506", "3d844edf-8d35-48ac-975b-e847b4f122b0"
TOKEN = "notify-simulated-callback-token"  # noqa: S105 - opens nothing
TEMPLATES: Mapping[str, tuple[str, str]] = {
    "licence-fee-paid": (
        "9d751e0e-f929-4891-82a1-a3e1c3c18ee3",
        "We have your fee for ((licence_reference)).",
    ),
    "licence-renewed": ("64415853-cb86-4cc4-b597-2aaa94ef8c39", "Licence ((licence_reference)) is renewed."),
}

#: Numbers and addresses that are taken and neither kept nor answered with a receipt, whatever the key.
SMOKE = {"07700900000", "07700900111", "07700900222", "simulate-delivered@notifications.service.gov.uk"}
#: What becomes of messages to these; all others are delivered.
ENDS = {
    "temp-fail@simulator.notify": "temporary-failure",
    "07700900003": "temporary-failure",
    "perm-fail@simulator.notify": "permanent-failure",
    "07700900002": "permanent-failure",
}

#: A page of the list of messages, and how callbacks are tried: seconds for one attempt, and between two.
PAGE, TIME_LIMIT_S, PAUSE_S, ATTEMPTS = 250, 5.0, 300.0, 6


class NotifySimulator(Simulator):
    """One service with a live key. Set `webhook_url` to have callbacks below it: `/receipts` and `/texts`.

    Faults besides those of `Simulator`: `daily limit`, and of callbacks `twice`, `late` and `lost`. What was sent is
    in `notifications`, oldest first.
    """

    bad_days: ClassVar[dict[str, dict[str, float]]] = {
        "too many requests": {"429": 0.5},
        "limit of the day reached": {"daily limit": 1.0},
        "errors": {"500": 0.4, "503": 0.2},
        "answers lost": {LOST: 0.4},
        "half answers": {"cut": 0.5},
        "no answers": {"hang": 1.0},
        "revoked key": {"403": 1.0},
        "receipts twice": {"twice": 1.0},
        "receipts out of order": {"late": 0.7, "twice": 0.3},
        "receipts lost": {"lost": 1.0},
    }

    def __init__(self, clock: Clock | None = None, seed: int | None = None) -> None:
        super().__init__(clock, seed)
        self.notifications: list[dict[str, Any]] = []
        self.callbacks: list[tuple[datetime, int]] = []
        self._minute: list[datetime] = []

    def config(self) -> dict[str, Any]:
        """Settings of an instance of this service."""
        return {
            "api_key": f"hub-{SERVICE}-{SECRET}",
            "templates": {name: template for name, (template, _) in TEMPLATES.items()},
            "callback_token": TOKEN,
            "base_url": self.url,
        }

    def routes(self) -> list[BaseRoute]:
        """The API, as far as the hub uses it."""
        return [
            Route("/v2/notifications/{channel:str}", self._send, methods=["POST"]),
            Route("/v2/notifications/{notification_id:str}", self._one),
            Route("/v2/notifications", self._list),
        ]

    def refusal(self, status: int) -> Response:
        """In Notify's words."""
        kind, message = {
            400: ("BadRequestError", "Template not found"),
            401: ("AuthError", "Unauthorized: authentication token must be provided"),
            403: ("AuthError", "Invalid token: API key revoked"),
            429: ("RateLimitError", "Exceeded rate limit for key type LIVE of 3000 requests per 60 seconds"),
            500: ("Exception", "Internal server error"),
        }.get(status, ("ValidationError", "Bad gateway" if status > 500 else "id is not a valid UUID"))
        return ApiError(status, kind, message).response()

    def effects(self) -> Counter[str]:
        """Messages by reference."""
        return Counter(str(one["reference"]) for one in self.notifications)

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers of a callback."""
        return {"Authorization": f"Bearer {TOKEN}"}

    def produce(self) -> int:
        """One message that arrives, one that does not, and one text that comes in."""
        template, _ = TEMPLATES["licence-renewed"]
        for channel, name, to in (
            ("email", "email_address", "asha.example@example.com"),
            ("sms", "phone_number", "07700900002"),
        ):
            asked = {"template_id": template, name: to, "personalisation": {"licence_reference": "PREM-1"}}
            self._accept(channel, asked, to)
        self.receive_text("447700900123", "STOP")
        return 3

    def receive_text(self, sender: str, message: str) -> None:
        """Somebody writes to the service's number."""
        body = {
            "id": self._id(),
            "source_number": sender,
            "destination_number": "07700987654",
            "message": message,
            "date_received": instant(self.clock.now()),
        }
        self._tell("texts", body)

    async def _send(self, request: Request) -> Response:
        try:
            self._authenticated(request)
            self._counted()
            channel = request.path_params["channel"]
            asked, to = checked(channel, await request.body())
            text = next(
                (text for template, text in TEMPLATES.values() if template == asked["template_id"]), None
            )
            if text is None:
                raise ApiError(400, "BadRequestError", "Template not found")
            if names := missing(text, asked.get("personalisation", {})):
                raise ApiError(400, "BadRequestError", f"Missing personalisation: {', '.join(names)}")
        except ApiError as error:
            return error.response()
        message = self._accept(channel, asked, to)
        answer = {name: message[name] for name in ("id", "reference", "template")}
        content = {"body": personalised(text, asked.get("personalisation", {}))}
        uri = f"{self.url}/v2/notifications/{message['id']}"
        return JSONResponse({**answer, "content": content, "uri": uri}, 201)

    async def _one(self, request: Request) -> Response:
        try:
            self._authenticated(request)
        except ApiError as error:
            return error.response()
        wanted = request.path_params["notification_id"]
        found = next((one for one in self.notifications if one["id"] == wanted), None)
        return JSONResponse(found) if found else ApiError(404, "NoResultFound", "No result found").response()

    async def _list(self, request: Request) -> Response:
        try:
            self._authenticated(request)
        except ApiError as error:
            return error.response()
        asked = request.query_params
        chosen = [
            one
            for one in reversed(self.notifications)
            if asked.get("reference", one["reference"]) == one["reference"]
            and asked.get("template_type", one["type"]) == one["type"]
            and one["status"] in (asked.getlist("status") or [one["status"]])
        ]
        if older := asked.get("older_than"):
            places = [place for place, one in enumerate(chosen) if one["id"] == older]
            chosen = chosen[places[0] + 1 :] if places else []
        links = {"current": str(request.url)}
        if len(chosen) > PAGE:
            links["next"] = f"{self.url}/v2/notifications?older_than={chosen[PAGE - 1]['id']}"
        return JSONResponse({"notifications": chosen[:PAGE], "links": links})

    def _authenticated(self, request: Request) -> None:
        """By a token that was made within 30 seconds of our clock. Raises ApiError."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise ApiError(401, "AuthError", "Unauthorized: authentication bearer scheme must be used")
        try:
            claims = jwt.decode(token, OctKey.import_key(SECRET), algorithms=["HS256"]).claims
        except (JoseError, ValueError):
            raise ApiError(403, "AuthError", "Invalid token: API key not found") from None
        if claims.get("iss") != SERVICE:
            raise ApiError(403, "AuthError", "Invalid token: service not found")
        if abs(self.clock.now().timestamp() - claims.get("iat", 0)) > 30:
            told = "Error: Your system clock must be accurate to within 30 seconds"
            raise ApiError(403, "AuthError", told)

    def _counted(self) -> None:
        """The two limits, which share their status. Raises ApiError."""
        if self.draw("daily limit"):
            raise ApiError(429, "TooManyRequestsError", "Exceeded send limits (email: 250000) for today")
        now = self.clock.now()
        self._minute = [at for at in self._minute if now - at < timedelta(minutes=1)]
        if len(self._minute) >= 3_000:
            told = "Exceeded rate limit for key type LIVE of 3000 requests per 60 seconds"
            raise ApiError(429, "RateLimitError", told)
        self._minute.append(now)

    def _accept(self, channel: str, asked: Mapping[str, Any], to: str) -> dict[str, Any]:
        """A new message, which has reached its end at once, and is told so if the service has callbacks."""
        now = instant(self.clock.now())
        template = asked["template_id"]
        message = {
            "id": self._id(),
            "reference": asked.get("reference"),
            "email_address": to if channel == "email" else None,
            "phone_number": to if channel == "sms" else None,
            "type": channel,
            "status": "accepted" if channel == "letter" else ENDS.get(re.sub(r"\s", "", to), "delivered"),
            "template": {"id": template, "version": 1, "uri": f"{self.url}/v2/template/{template}"},
            "created_at": now,
            "sent_at": now,
            "completed_at": now,
        }
        if to in SMOKE:
            return message
        self.notifications.append(message)
        if channel != "letter":  # nothing is told of those
            self._tell("receipts", _receipt(message, to))
        return message

    def _tell(self, path: str, told: dict[str, Any]) -> None:
        if not self.webhook_url or self.draw("lost"):
            return
        body = json.dumps(told).encode()
        for _ in range(2 if self.draw("twice") else 1):
            wait = self.random.uniform(0, 60) if self.draw("late") else 0.0
            self.spawn(self._call(f"{self.webhook_url}/{path}", body, wait))

    async def _call(self, url: str, body: bytes, wait: float) -> None:
        """A callback: again after 429, 5xx and no connection, and after nothing else."""
        await self.clock.sleep(wait)
        headers = {"Content-Type": "application/json", **self.sign(body)}
        async with httpx2.AsyncClient(timeout=TIME_LIMIT_S, trust_env=False) as client:
            for left in reversed(range(ATTEMPTS)):
                try:
                    async with asyncio.timeout(TIME_LIMIT_S):
                        status = (await client.post(url, content=body, headers=headers)).status_code
                except (httpx2.RequestError, TimeoutError):
                    status = 0
                self.callbacks.append((self.clock.now(), status))
                if status and status != 429 and status < 500:
                    return
                if left:
                    await self.clock.sleep(PAUSE_S)

    def _id(self) -> str:
        digits = f"{self.random.getrandbits(128):032x}"
        return "-".join((digits[:8], digits[8:12], "4" + digits[13:16], "8" + digits[17:20], digits[20:]))


def _receipt(message: Mapping[str, Any], to: str) -> dict[str, Any]:
    same = ("id", "reference", "status", "created_at", "sent_at", "completed_at")
    return {name: message[name] for name in same} | {
        "to": to,
        "notification_type": message["type"],
        "template_id": message["template"]["id"],
        "template_version": message["template"]["version"],
    }


def instant(moment: datetime) -> str:
    """`2024-05-14T12:15:30.000000Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
