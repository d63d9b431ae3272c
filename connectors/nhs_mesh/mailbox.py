"""A client for one MESH mailbox: what waits, chunks down and up, acknowledgement, and what became of a message.

Source: MESH API specification, v2 bodies where there are two. `Http` makes a fresh token for every request.
"""

from __future__ import annotations

import gzip
import json
import platform
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx2

from connectors.nhs_mesh.config import Config
from hub.sdk import (
    Http,
    Inbox,
    Letter,
    Mailbox,
    MeshToken,
    Policy,
    RateLimit,
    Refused,
    Reject,
    Retry,
    client_certificate,
)
from hub.sdk.clock import Clock
from hub.sdk.http import decoded

#: Most ids that MESH lists at once; exactly so many mean that there may be more.
MOST = 500
_DAY = timedelta(days=1)
_GONE = (404, 410)
#: What MESH does not deliver any more.
_GIVEN_UP = ("undeliverable", "error")
_CODE = re.compile(r"[A-Z0-9-]{2,10}", re.ASCII)


def open_mesh(config: Config, clock: Clock) -> Http:
    """HTTP with MESH's token, certificate and codes."""
    tls = None
    if config.client_certificate and config.client_key:
        tls = client_certificate(config.client_certificate, config.client_key, config.authority)
    return Http(
        config.base_url,
        headers={"Accept": "application/vnd.mesh.v2+json", "Accept-Encoding": "gzip"},
        auth=MeshToken(
            config.mailbox, config.password, config.shared_key, now=lambda: clock.now().timestamp()
        ),
        policy=Policy(
            timeout_s=config.timeout_seconds,
            limit=RateLimit(10),
            words=lambda _, body: " ".join(codes(body)),
            tls=tls,
        ),
    )


def codes(body: bytes) -> list[str]:
    """The error codes of a refusal, in either version of its body, and none of its prose."""
    try:
        told = json.loads(body)
        found = [told.get("errorCode"), *(each.get("code") for each in told.get("detail") or [])]
    except (ValueError, RecursionError, AttributeError, TypeError):
        return []
    return [code for code in found if isinstance(code, str) and _CODE.fullmatch(code)]


class MeshMailbox(Mailbox):
    """Our mailbox. Headers of the last download are in `headers`, lower case."""

    def __init__(self, http: Http, config: Config, clock: Clock) -> None:
        self._http, self._config, self._clock = http, config, clock
        self._root = f"/messageexchange/{config.mailbox.upper()}"
        self._greeted: datetime | None = None
        self._uploads: dict[str, tuple[str, int]] = {}  # by local id: the message's id, the next chunk
        self._next: dict[str, str] = {}  # local ids under which a message that was given up is sent again
        self.headers: dict[str, dict[str, str]] = {}

    async def waiting(self) -> Inbox:
        """The messages of our workflow that wait; greets MESH once a day before it."""
        now = self._clock.now()
        if self._greeted is None or now - self._greeted > _DAY:
            await self._http.send("POST", self._root, headers=_greeting())
            self._greeted = now
        told = await self._http.get_json(
            f"{self._root}/inbox", max_results=MOST, workflow_filter=self._config.workflow
        )
        ids = [each for each in told.get("messages") or [] if isinstance(each, str)]
        return Inbox(ids, full=len(ids) >= MOST or bool((told.get("links") or {}).get("next")))

    async def download(self, message_id: str) -> AsyncIterator[bytes]:
        """The bytes, chunk by chunk. `Retry` for a chunk that is missing, cut off or not the one that was asked for."""
        number, total = 1, 1
        while number <= total:
            place = f"{self._root}/inbox/{quote(message_id, safe='')}" + (f"/{number}" if number > 1 else "")
            try:
                async with self._http.stream("GET", place) as answer:
                    told = {name.lower(): value for name, value in answer.headers.items()}
                    if told.get("mex-messageid", "").upper() != message_id.upper():
                        raise Retry("the answer is not that of MESH for this message")
                    given, total = _range(told.get("mex-chunk-range", ""))
                    if given != number or (answer.status_code == 206) != (number < total):
                        raise Retry(f"MESH gave another chunk than number {number}")
                    if number == 1:
                        self.headers = {message_id: {k: v for k, v in told.items() if k.startswith("mex-")}}
                    async for piece in _complete(answer):
                        yield piece
            except Refused as refused:
                if number > 1 and refused.status in _GONE:
                    raise Retry(f"chunk {number} of {total} is missing") from None
                raise
            number += 1

    async def acknowledge(self, message_id: str) -> None:
        """Remove it from the inbox; one that is gone is no error."""
        try:
            await self._http.send(
                "PUT", f"{self._root}/inbox/{quote(message_id, safe='')}/status/acknowledged"
            )
        except Refused as refused:
            if refused.status not in _GONE:
                raise

    async def send(self, recipient: str, letter: Letter, local_id: str) -> str:
        """Send, in chunks where it is long, each compressed for itself. An upload that broke off after its first
        chunk goes on where it stood, if this client still knows of it."""
        local_id = self._next.pop(local_id, local_id)
        size = self._config.chunk_bytes
        chunks = [letter.body[at : at + size] for at in range(0, len(letter.body), size)] or [b""]
        message_id, number = self._uploads.get(local_id, ("", 1))
        while number <= len(chunks):
            headers = {"Content-Type": "application/octet-stream", "Content-Encoding": "gzip"}
            if len(chunks) > 1:
                headers["Mex-Chunk-Range"] = f"{number}:{len(chunks)}"
            if number == 1:
                headers |= {
                    "Mex-From": self._config.mailbox.upper(),
                    "Mex-To": recipient,
                    "Mex-WorkflowID": self._config.workflow,
                    "Mex-LocalID": local_id,
                    **letter.attributes,
                }
            body = gzip.compress(chunks[number - 1], mtime=0)
            place = f"{self._root}/outbox" + (f"/{message_id}/{number}" if number > 1 else "")
            try:
                message_id = await self._put(place, body, headers) or message_id
            except Refused:
                self._uploads.pop(local_id, None)
                raise
            number += 1
            if not message_id:
                raise Retry("MESH does not say under which id it took the message")
            self._uploads[local_id] = (message_id, number)
        self._uploads.pop(local_id, None)
        return message_id

    async def _put(self, place: str, body: bytes, headers: Mapping[str, str]) -> str:
        answer = await self._http.send("POST", place, content=body, headers=dict(headers))
        told = decoded(answer) if answer.content else {}
        return str(told.get("message_id") or told.get("messageID") or "") if isinstance(told, dict) else ""

    async def find(self, local_id: str) -> Mapping[str, Any] | None:
        """What MESH knows of a message by our id; None for none, for one whose upload was never finished, and for one
        that MESH gave up: it is sent again under another local id, `<local_id>.2` and so on.

        Raises Reject where several have the id: MESH answers 300 and does not say which.
        """
        number, name = 1, local_id
        while (told := await self._tracked(name)) and told["status"] in _GIVEN_UP:
            number += 1
            self._next[local_id] = name = f"{local_id}.{number}"
        return told if told and told["status"] != "uploading" else None

    async def _tracked(self, local_id: str) -> Mapping[str, Any] | None:
        try:
            told = await self._http.get_json(f"{self._root}/outbox/tracking/{local_id}")
        except Refused as refused:
            if refused.status == 404:
                return None
            if refused.status == 300:
                raise Reject(
                    "MESH holds several messages under this event's id", field="Mex-LocalID"
                ) from None
            raise
        status = str(told.get("status") or "").lower()
        return {"message_id": told.get("messageId") or told.get("message_id"), "status": status}


async def _complete(answer: httpx2.Response) -> AsyncIterator[bytes]:
    """A chunk, decompressed. Raises Retry unless it has come to its end: a message that is cut off may well parse."""
    if not {"content-length", "transfer-encoding"} & set(answer.headers):
        raise Retry("the answer does not say where it ends")
    encoding = answer.headers.get("content-encoding", "identity").lower()
    if encoding == "identity":
        async for piece in answer.aiter_raw():
            yield piece
        return
    if encoding != "gzip":
        raise Retry("the chunk is compressed as MESH does not")
    member = zlib.decompressobj(wbits=31)
    try:
        async for piece in answer.aiter_raw():  # of 64 KiB at most, so a thousand times that unpacked
            packed = piece
            while packed:
                if member.eof:  # of one member of several (RFC 1952, 2.2)
                    member = zlib.decompressobj(wbits=31)
                yield member.decompress(packed)
                packed = member.unused_data
    except zlib.error:
        raise Retry("the chunk cannot be decompressed") from None
    if not member.eof:
        raise Retry("the chunk is cut off")


def _range(text: str) -> tuple[int, int]:
    """Number and total of `Mex-Chunk-Range`; a message without it is whole."""
    found = re.fullmatch(r"(\d{1,6}):(\d{1,6})", text.strip(), re.ASCII)
    return (int(found[1]), int(found[2])) if found else (1, 1)


def _greeting() -> dict[str, str]:
    return {
        "Mex-ClientVersion": "integration-hub==1.0",
        "Mex-OSName": platform.system() or "unknown",
        "Mex-OSVersion": platform.release() or "unknown",
        "Mex-OSArchitecture": platform.machine() or "unknown",
    }
