"""The API's door: who has not the operator's token is refused unread, and nobody has the gateway hold much."""

from __future__ import annotations

import secrets

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.gateway.problems import problem

#: Bytes of a request's body: the longest plan of a replay has about half of them.
_MOST = 16 << 20


class OperatorsOnly:
    """What is below `/v1` is for the operator.

    Not a dependency of the handlers: FastAPI reads the whole body before it looks at those.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI app."""
        answer = self._app
        if scope["type"] == "http" and scope["path"].startswith("/v1/"):
            receive = _bounded(receive)
            if not self._has_token(Headers(scope=scope).get("authorization", "")):
                answer = problem(401, "Refused", "Send the operator's token as a bearer token.")
        await answer(scope, receive, send)

    def _has_token(self, authorization: str) -> bool:
        scheme, _, given = authorization.partition(" ")
        same = secrets.compare_digest(given.strip().encode(), self._token)
        return scheme.lower() == "bearer" and same and bool(self._token)


def _bounded(receive: Receive) -> Receive:
    size = 0

    async def received() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > _MOST:
            raise HTTPException(413, f"The limit is {_MOST} bytes.")
        return message

    return received
