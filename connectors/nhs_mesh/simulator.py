"""NHS MESH as it behaves: mailboxes, single-use tokens, chunks, reports, tracking, and its bad days.

After the MESH API specification; where it is silent, after NHS England's own sandbox.
"""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from starlette.requests import Request as Incoming
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.care_messages.samples import COUNCIL, DESK, HOSPITAL, WARD, Conversation
from hub.sdk.clock import Clock
from hub.sdk.simulator import LOST, Simulator

OURS, THEIRS = "X26ABC1", "X26ABC2"
_SHARED_KEY = "TestKey"
_PASSWORD = "Opens-Nothing-1"  # noqa: S105
_V2 = "application/vnd.mesh.v2+json"
_TOKEN_HOLDS = timedelta(hours=2)


@dataclass
class Posted:
    """A message in MESH: its chunks as sent, and how far it is."""

    message_id: str
    sender: str
    recipient: str
    headers: dict[str, str]
    total: int
    at: datetime
    status: str = "uploading"
    chunks: dict[int, bytes] = field(default_factory=dict)
    kind: str = "DATA"

    @property
    def body(self) -> bytes:
        """The whole message, decompressed and put together."""
        encoded = self.headers.get("content-encoding") == "gzip"
        parts = [self.chunks[number] for number in sorted(self.chunks)]
        return b"".join(gzip.decompress(part) if encoded else part for part in parts)


class MeshSimulator(Simulator):
    """A MESH server with our mailbox and a partner's.

    `post` has the partner leave a message for us; `messages` holds all. Faults besides those of `Simulator`: `missing`
    (a chunk cannot be found), `twice` (a message is accepted under two ids), `skewed` (its clock is three hours off,
    so that no token holds).
    """

    bad_days: ClassVar[Mapping[str, Mapping[str, float]]] = {
        "answers lost": {LOST: 1.0},
        "some answers lost": {LOST: 0.4},
        "chunks missing": {"missing": 1.0},
        "some chunks missing": {"missing": 0.3},
        "messages twice": {"twice": 1.0},
        "clock three hours off": {"skewed": 1.0},
        "expired password": {"403": 1.0},
        "gateway errors": {"502": 0.5},
        "busy": {"429": 1.0},
        "half bodies": {"cut": 1.0},
        "no answers": {"hang": 1.0},
        "web pages": {"garbage": 1.0},
    }

    def __init__(self, clock: Clock | None = None, seed: int | None = None) -> None:
        super().__init__(clock, seed)
        self.messages: dict[str, Posted] = {}
        self._used: set[tuple[str, str]] = set()

    def routes(self) -> list[BaseRoute]:
        """The calls that a client makes."""
        root = "/messageexchange/{mailbox}"
        return [
            Route(root, self._guarded(self._greet), methods=["POST"]),
            Route(f"{root}/inbox", self._guarded(self._list)),
            Route(f"{root}/inbox/{{id}}", self._guarded(self._give)),
            Route(f"{root}/inbox/{{id}}/status/acknowledged", self._guarded(self._remove), methods=["PUT"]),
            Route(f"{root}/inbox/{{id}}/{{chunk:int}}", self._guarded(self._give)),
            Route(f"{root}/outbox", self._guarded(self._accept), methods=["POST"]),
            Route(f"{root}/outbox/tracking/{{local}}", self._guarded(self._track)),
            Route(f"{root}/outbox/{{id}}/{{chunk:int}}", self._guarded(self._append), methods=["POST"]),
        ]

    def config(self) -> dict[str, Any]:
        """Settings of an instance with our mailbox."""
        return {
            "addresses": (HOSPITAL, COUNCIL, WARD, DESK),
            "partners": {HOSPITAL: "rxx", COUNCIL: "E08000025", WARD: "rxx", DESK: "E08000025"},
            "mailbox": OURS,
            "password": _PASSWORD,
            "shared_key": _SHARED_KEY,
            "partner_mailbox": THEIRS,
            "workflow": "CARE_REFERRAL",
            "base_url": self.url,
        }

    def post(self, body: bytes, chunk_bytes: int = 0, compress: bool = True, **headers: str) -> Posted:
        """The partner leaves a message in our mailbox, in chunks if it is longer than `chunk_bytes`."""
        size = chunk_bytes or max(len(body), 1)
        parts = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
        told = {"mex-workflowid": "CARE_REFERRAL", **headers}
        if compress:
            told["content-encoding"] = "gzip"
        posted = self._new(THEIRS, OURS, told, len(parts))
        packed = [gzip.compress(part) if compress else part for part in parts]
        posted.chunks = dict(enumerate(packed, 1))
        posted.status = "accepted"
        return posted

    def refer(
        self, fixture: str = "ref_i12", after_s: float = 0, conversation: Conversation | None = None
    ) -> Posted:
        """The partner leaves a sample: HL7 v2 by its name, or else a bundle."""
        told = conversation or Conversation(self.clock.now())
        hl7 = fixture.startswith(("ref", "rri"))
        return self.post(told.hl7(fixture, after_s) if hl7 else told.bundle(fixture, after_s))

    def populate(self, count: int) -> set[str]:
        """`count` referrals, in both languages; gives their conversations."""
        begun = [Conversation(self.clock.now()) for _ in range(count)]
        for number, conversation in enumerate(begun):
            self.refer("ref_i12" if number % 2 else "request_new", 0, conversation)
        return {each.correlation_id if n % 2 else each.bundle_id for n, each in enumerate(begun)}

    def waiting(self) -> int:
        """How many messages for us are not acknowledged."""
        return sum(one.recipient == OURS and one.status == "accepted" for one in self.messages.values())

    def effects(self) -> Counter[str]:
        """Messages of ours that MESH accepted, by local id."""
        ours = (posted for posted in self.messages.values() if posted.sender == OURS)
        return Counter(
            posted.headers.get("mex-localid", "") for posted in ours if posted.status != "uploading"
        )

    def days_pass(self) -> None:
        """Five days pass for what nobody collected: each sender finds a report."""
        for posted in list(self.messages.values()):
            if posted.status == "accepted" and posted.kind == "DATA":
                posted.status = "undeliverable"
                self._report(posted, "14", "Message not collected by recipient after 5 days")

    def _report(self, posted: Posted, code: str, words: str) -> None:
        kept = {
            name: posted.headers[name] for name in ("mex-localid", "mex-subject") if name in posted.headers
        }
        told = kept | {
            "mex-workflowid": posted.headers.get("mex-workflowid", ""),
            "mex-linkedmsgid": posted.message_id,
            "mex-statusevent": "SEND",
            "mex-statuscode": code,
            "mex-statusdescription": words,
            "mex-statussuccess": "ERROR",
            "mex-statustimestamp": self.clock.now().strftime("%Y%m%d%H%M%S"),
            "mex-to": posted.recipient,
        }
        report = self._new("", posted.sender, told, 1)
        report.kind, report.status = "REPORT", "accepted"

    def _new(self, sender: str, recipient: str, headers: dict[str, str], total: int) -> Posted:
        now = self.clock.now()
        number = f"{self.random.randrange(16**6):06X}"
        message_id = f"{now:%Y%m%d%H%M%S%f}_{number}_{len(self.messages)}"
        posted = Posted(message_id, sender, recipient, headers, total, now)
        self.messages[message_id] = posted
        return posted

    def _guarded(self, handle: Any) -> Any:
        async def guarded(incoming: Incoming) -> Response:
            if not self._genuine(incoming):
                return Response(status_code=403)
            answer: Response = await handle(incoming)
            return answer

        return guarded

    def _genuine(self, incoming: Incoming) -> bool:
        """Whether the token is of this mailbox, not used before, and of within two hours."""
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        parts = token.split(":")
        if scheme != "NHSMESH" or len(parts) != 5 or parts[0] != incoming.path_params["mailbox"]:
            return False
        mailbox, nonce, count, stamp, digest = parts
        hidden = f"{mailbox}:{nonce}:{count}:{_PASSWORD}:{stamp}".encode()
        right = hmac.new(_SHARED_KEY.encode(), hidden, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(right, digest) or (nonce, count) in self._used:
            return False
        self._used.add((nonce, count))
        now = self.clock.now() + (timedelta(hours=3) if self.draw("skewed") else timedelta())
        return abs(now - datetime.strptime(stamp, "%Y%m%d%H%M").replace(tzinfo=UTC)) <= _TOKEN_HOLDS

    async def _greet(self, incoming: Incoming) -> Response:
        needed = ("mex-clientversion", "mex-osname", "mex-osversion", "mex-osarchitecture")
        return Response(status_code=200 if all(name in incoming.headers for name in needed) else 400)

    async def _list(self, incoming: Incoming) -> Response:
        most = max(10, int(incoming.query_params.get("max_results", 500)))
        wanted = incoming.query_params.get("workflow_filter", "*")
        mine = [
            posted.message_id
            for posted in self.messages.values()
            if posted.recipient == incoming.path_params["mailbox"]
            and posted.status == "accepted"
            and _passes(posted.headers.get("mex-workflowid", ""), wanted)
        ]
        links = {"self": incoming.url.path}
        if len(mine) > most:
            links["next"] = f"{incoming.url.path}?continue_from={mine[most]}"
        told = {"messages": mine[:most], "links": links, "approx_inbox_count": len(mine)}
        return JSONResponse(told, media_type=_V2)

    async def _give(self, incoming: Incoming) -> Response:
        posted = self._mine(incoming)
        number = int(incoming.path_params.get("chunk", 1))
        if posted is None or number > posted.total:
            return _error(404, "20", "message does not exist")
        if posted.status not in ("accepted", "acknowledged"):
            return _error(410, "20", "message is gone")
        headers = {name: text for name, text in posted.headers.items() if name.startswith("mex-")} | {
            "mex-messageid": posted.message_id,
            "mex-messagetype": posted.kind,
            "mex-chunk-range": f"{number}:{posted.total}",
            "mex-total-chunks": str(posted.total),
        }
        if posted.kind == "REPORT":
            return Response(b"", headers=headers)
        if number > 1 and self.draw("missing"):
            return _error(404, "20", "message does not exist")
        headers |= {"mex-from": posted.sender, "mex-to": posted.recipient, "mex-statuscode": "00"}
        if posted.headers.get("content-encoding"):
            headers["content-encoding"] = posted.headers["content-encoding"]
        status = 206 if number < posted.total else 200
        return Response(posted.chunks[number], status, headers, media_type="application/octet-stream")

    async def _remove(self, incoming: Incoming) -> Response:
        posted = self._mine(incoming)
        if posted is None:
            return _error(404, "20", "message does not exist")
        posted.status = "acknowledged"
        return JSONResponse({"message_id": posted.message_id}, media_type=_V2)

    async def _accept(self, incoming: Incoming) -> Response:
        headers = {
            name: text for name, text in incoming.headers.items() if name.startswith(("mex-", "content-enc"))
        }
        body = await incoming.body()
        recipient = headers.get("mex-to", "")
        if not recipient or not headers.get("mex-workflowid"):
            return _error(400, "06", "malformed control headers")
        if recipient not in (OURS, THEIRS):
            return _error(417, "12", "unregistered to address")
        if not body:
            return _error(417, "02", "data file is missing")
        first, _, total = headers.pop("mex-chunk-range", "1:1").partition(":")
        if first != "1":
            return _error(417, "06", "invalid chunk range")
        sender = incoming.path_params["mailbox"]
        for _ in range(2 if self.draw("twice") else 1):
            posted = self._new(sender, recipient, headers, int(total))
            posted.chunks[1] = body
            posted.status = "accepted" if posted.total == 1 else "uploading"
        return self._accepted(posted)

    async def _append(self, incoming: Incoming) -> Response:
        posted = self.messages.get(incoming.path_params["id"])
        number = int(incoming.path_params["chunk"])
        if posted is None or posted.sender != incoming.path_params["mailbox"]:
            return _error(404, "20", "message does not exist")
        if posted.status != "uploading":
            return _error(423, "06", "message is complete")
        if incoming.headers.get("mex-chunk-range") != f"{number}:{posted.total}" or number > posted.total:
            return _error(417, "06", "invalid chunk range")
        posted.chunks[number] = await incoming.body()
        if len(posted.chunks) == posted.total:
            posted.status = "accepted"
        return self._accepted(posted)

    def _accepted(self, posted: Posted) -> Response:
        return JSONResponse({"message_id": posted.message_id}, 202, media_type=_V2)

    async def _track(self, incoming: Incoming) -> Response:
        """By local id: the older call, with the older names, since the newer one knows message ids alone."""
        local, mine = incoming.path_params["local"], incoming.path_params["mailbox"]
        found = [
            posted
            for posted in self.messages.values()
            if posted.sender == mine and posted.headers.get("mex-localid") == local
        ]
        if len(found) != 1:
            return Response(status_code=300 if found else 404)
        told = {"messageId": found[0].message_id, "localId": local, "status": found[0].status.capitalize()}
        return JSONResponse(told)

    def _mine(self, incoming: Incoming) -> Posted | None:
        posted = self.messages.get(incoming.path_params["id"])
        return posted if posted and posted.recipient == incoming.path_params["mailbox"] else None


def _passes(workflow: str, wanted: str) -> bool:
    """Whether a `workflow_filter` lets a workflow through: `X`, `X*`, `*X*`, and each with `!` before it."""
    pattern = wanted.removeprefix("!")
    word = pattern.strip("*")
    if pattern.startswith("*"):
        found = word in workflow
    else:
        found = workflow.startswith(word) if pattern.endswith("*") else workflow == word
    return found != wanted.startswith("!")


def _error(status: int, code: str, words: str) -> Response:
    told = {"message_id": None, "internal_id": "0", "detail": [{"event": "SEND", "code": code, "msg": words}]}
    return Response(json.dumps(told), status, media_type=_V2)
