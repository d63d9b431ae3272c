"""A subscriber on this machine: verifies signatures, keeps what came, and can misbehave on purpose."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hub.delivery.http import parse
from hub.delivery.signing import ID_HEADER, Secret, SignatureError, verify

_SECRET_WITHIN_S = 5.0
"""What comes before its secret is known waits so long for it: the hub tells it a moment after it begins to deliver."""


@dataclass(frozen=True, slots=True)
class Received:
    """One delivery that was taken: its `webhook-id`, CloudEvents attributes, data, and when (epoch seconds)."""

    id: str
    attributes: Mapping[str, str]
    data: Any
    at: float
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """Takes deliveries over HTTP. `answer` decides the status of each genuine one; without it, 204.

    `received` holds what was answered 2xx, in order of arrival; `refused` counts what was not genuine. Nothing is
    taken before there is a `secret`, unless it is to be without `verifying`.
    """

    def __init__(self, answer: Callable[[Received], int] | None = None, *, verifying: bool = True) -> None:
        self._answer = answer or (lambda _: 204)
        self._changed = threading.Condition()
        self._secret: Secret | None = None
        self._may_take = threading.Event()
        if not verifying:
            self._may_take.set()
        self.subscription_id = ""
        self.received: list[Received] = []
        self.attempts = 0
        self.refused = 0

    @contextmanager
    def running(self, port: int = 0) -> Iterator[str]:
        """Listen on the loopback address while the block lasts; yields the URL to subscribe."""
        server = _Server(("127.0.0.1", port), _handler(self))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            server.server_close()

    @property
    def secret(self) -> Secret | None:
        """With which signatures are verified."""
        return self._secret

    @secret.setter
    def secret(self, secret: Secret) -> None:
        self._secret = secret
        self._may_take.set()

    def wait(self, done: Callable[[list[Received]], bool], timeout: float) -> bool:
        """Until `done(received)` holds; False when time ran out."""
        with self._changed:
            return self._changed.wait_for(lambda: done(self.received), timeout)

    def take(self, headers: Mapping[str, str], body: bytes) -> int:
        """The status to answer for one delivery."""
        with self._changed:
            self.attempts += 1
        if not self._may_take.wait(_SECRET_WITHIN_S):
            return 503
        try:
            if self._secret is not None:
                verify(headers, body, self._secret, time.time())
            attributes, data = parse(headers, body)
        except (SignatureError, ValueError):
            with self._changed:
                self.refused += 1
            return 400
        one = Received(headers.get(ID_HEADER, ""), attributes, data, time.time(), headers, body)
        status = self._answer(one)
        if 200 <= status < 300:
            with self._changed:
                self.received.append(one)
                self._changed.notify_all()
        return status


class _Server(ThreadingHTTPServer):
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A hub that hangs up is its own affair, not a traceback on this terminal."""


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            length = int(self.headers.get("content-length", "0"))
            body = self.rfile.read(length)
            if len(body) < length:  # the sender died in the middle: there is nobody to answer
                self.close_connection = True
                return
            status = receiver.take({name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response_only(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Bodies and addresses stay out of the terminal."""

    return Handler
