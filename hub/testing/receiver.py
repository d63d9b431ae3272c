"""A receiver of webhooks for tests: keeps what arrives, and answers as it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.applications import Starlette
from starlette.requests import Request as Incoming
from starlette.responses import Response
from starlette.routing import Route

from hub.sdk.serving import in_thread, serving
from hub.sdk.webhook import Request


class Receiver:
    """Answers every request with what `answer` gives for the number of the request, counted from 1."""

    def __init__(self, answer: Callable[[int], int] = lambda _: 200) -> None:
        self.answer = answer
        self.requests: list[Request] = []
        self._changed = threading.Condition()

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve from a thread; gives the address to post to."""
        methods = ["POST", "PUT", "PATCH", "DELETE"]
        app = Starlette(routes=[Route("/{path:path}", self._take, methods=methods)])
        with in_thread(lambda: serving(app)) as url:
            yield f"{url}/webhooks"

    def wait_for(self, count: int, timeout: float = 10.0) -> list[Request]:
        """The requests, once there are `count`. Raises TimeoutError with how many there were."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, timeout):
                raise TimeoutError(f"{len(self.requests)} of {count} requests came within {timeout} s")
            return list(self.requests)

    async def _take(self, incoming: Incoming) -> Response:
        path = "/" + incoming.path_params["path"].removeprefix("webhooks").lstrip("/")
        body, query = await incoming.body(), dict(incoming.query_params)
        request = Request(dict(incoming.headers), body, incoming.method, path, query)
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            return Response(status_code=self.answer(len(self.requests)))
