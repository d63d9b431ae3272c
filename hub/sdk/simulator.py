"""Simulators: stand-ins for outside systems that speak the real protocol on a real port, bad days included."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.requests import Request as Incoming
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.sdk.clock import Clock
from hub.sdk.serving import in_thread, serving

#: What a fault plan may hold besides status codes as text.
HANG, CUT, GARBAGE, LOST = "hang", "cut", "garbage", "lost answer"

#: Serves on a port (0: a free one) while its block runs; gives the address.
Listener = Callable[[int], AbstractAsyncContextManager[str]]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in, and what it met: `fault` is the fault drawn for it, empty for none."""

    at: datetime
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    fault: str


class Simulator:
    """Base of simulators. A subclass gives `routes`, its configuration for a connector, and controls.

    `faults` maps a fault to its probability per request: a status code as text (`"429"`), `hang` (no answer
    until the client leaves), `cut` (half a body), `garbage` (200 and HTML), `lost answer` (the request is
    carried out and the answer never arrives), and what a subclass adds.
    `bad_days` names plans; `have("429s")` begins one and `have("a good day")` ends it. Given a `seed`, faults
    and ids are drawn from it, so that a run can be repeated; without one, every simulator is another.
    Controls may be called from any thread, before, while and after it serves. The contract suites need
    `config`, and besides `sign` and `produce` where the system calls the hub, `populate` where the hub asks,
    `effects` where the hub delivers.
    """

    bad_days: ClassVar[Mapping[str, Mapping[str, float]]] = {}

    #: Where webhooks go, if the system sends any.
    webhook_url: str = ""

    def __init__(self, clock: Clock | None = None, seed: int | None = None) -> None:
        self.clock = clock or Clock()
        self.random = random.Random(seed)  # noqa: S311 - faults must be repeatable, not secret
        self.faults: dict[str, float] = {}
        self.requests: list[Received] = []
        self.url = "http://localhost"  # until it serves
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: list[Coroutine[Any, Any, None]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self) -> list[BaseRoute]:
        """The protocol."""
        return []

    def config(self) -> dict[str, Any]:
        """Settings with which a connector finds this simulator; secrets in plain text, they are made up."""
        return {}

    def sign(self, body: bytes) -> dict[str, str]:
        """The headers with which the system would send `body` as a webhook."""
        raise NotImplementedError

    def produce(self) -> int:
        """Have one event of every kind that the system tells by webhook; gives how many webhooks that makes."""
        raise NotImplementedError

    def populate(self, count: int) -> set[str]:
        """Have `count` more things that a poller finds; gives the subjects of their facts."""
        raise NotImplementedError

    def effects(self) -> Counter[str]:
        """What deliveries came to, each with how often, by the sender's idempotency key or reference."""
        raise NotImplementedError

    def have(self, day: str) -> None:
        """Begin one of `bad_days`; `a good day` ends it. Raises KeyError for an unknown name."""
        self.faults = {} if day == "a good day" else dict(self.bad_days[day])

    def draw(self, *faults: str) -> str:
        """One of `faults`, each by its probability in the plan; mostly none, which is empty."""
        return next((fault for fault in faults if self._happens(fault)), "")

    def refusal(self, status: int) -> Response:
        """The system's own way to say a status that a fault plan asked for."""
        return JSONResponse({"error": status}, status_code=status)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside the server; before it serves, keep it until then."""
        if self._loop is None:
            self._waiting.append(work)
        else:
            self._loop.call_soon_threadsafe(self._start, work)

    async def stopped(self) -> None:
        """Called when it no longer serves, on the loop that it served on; release what was opened."""

    def listeners(self) -> list[Listener]:
        """What it serves: HTTP, unless a subclass speaks something else, or something else besides."""
        return [self.serve_http]

    @asynccontextmanager
    async def serve_http(self, port: int) -> AsyncIterator[str]:
        """Its routes, at `url`."""
        async with serving(self.app, port) as self.url:
            yield self.url

    @asynccontextmanager
    async def serve(self, port: int = 0) -> AsyncIterator[str]:
        """Serve on the loopback; gives the first address. Port 0 takes free ones; otherwise a second listener has
        the port after it, and so on."""
        async with AsyncExitStack() as stack:
            addresses = [
                await stack.enter_async_context(listener(port and port + place))
                for place, listener in enumerate(self.listeners())
            ]
            self._loop = asyncio.get_running_loop()
            waiting, self._waiting = self._waiting, []
            for work in waiting:
                self._start(work)
            try:
                yield addresses[0]
            finally:
                self._loop = None
                for task in list(self._tasks):
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)
                await self.stopped()

    @contextmanager
    def running(self, port: int = 0) -> Iterator[str]:
        """The same for code that is not async: serves from a thread of its own."""
        with in_thread(lambda: self.serve(port)) as url:
            yield url

    @property
    def app(self) -> ASGIApp:
        """The ASGI application: the routes behind the fault plan."""
        return _Faulty(self, Starlette(routes=self.routes()))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _happens(self, fault: str) -> bool:
        probability = self.faults.get(fault, 0.0)
        return probability > 0 and self.random.random() < probability


class _Faulty:
    """Records every request, and answers in place of the application where the plan says so."""

    def __init__(self, simulator: Simulator, app: ASGIApp) -> None:
        self._simulator = simulator
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        simulator = self._simulator
        request = Incoming(scope, receive)
        body = await request.body()
        fault = simulator.draw(*(name for name in simulator.faults if name in _OF_HTTP or name.isdigit()))
        simulator.requests.append(
            Received(
                simulator.clock.now(),
                request.method,
                request.url.path,
                request.url.query,
                dict(request.headers),
                body,
                fault,
            )
        )
        if fault.isdigit():
            await simulator.refusal(int(fault))(scope, receive, send)
        elif fault == LOST:
            await self._app(scope, _replay(body, receive), _nowhere)
            raise ConnectionAbortedError("the simulated system hung up before it answered")
        elif fault:
            await _ANSWERS[fault](receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)


def _replay(body: bytes, receive: Receive) -> Receive:
    unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return unread.pop() if unread else await receive()

    return again


async def _nowhere(_: Message) -> None:
    """Where lost answers go."""


async def _hang(receive: Receive, send: Send) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"4096")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"results": [{"', "more_body": True})
    raise ConnectionAbortedError("the simulated system hung up in the middle of its answer")


async def _garbage(receive: Receive, send: Send) -> None:
    headers = [(b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"<html><body>We are sorry</body></html>"})


_OF_HTTP = frozenset({HANG, CUT, GARBAGE, LOST})

_ANSWERS: dict[str, Callable[[Receive, Send], Coroutine[Any, Any, None]]] = {
    HANG: _hang,
    CUT: _cut,
    GARBAGE: _garbage,
}
