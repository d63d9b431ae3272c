"""A proxy before every broker that knows requests by their kind, and can lose, hold, delay or cut them.

It is a process of its own, told what to do by lines of JSON on its standard input and ending with it:
`python -m tests.chaos.proxy LISTEN=TARGET…`. The brokers name it in `advertised.listeners`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections import deque
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from tests.chaos.wire import ANSWER_HEAD, REQUEST_HEAD, Frames, answered_by, request_of

_PAUSE_AT = 1 << 20  # bytes on their way out before the other side is no longer read


@dataclass(frozen=True, slots=True)
class Rule:
    """What befalls requests of these kinds (none: all) from these addresses (none: all).

    lose-answer     the broker acts, its answer is lost with the connection
    swallow-answer  the broker acts, its answer never comes, and the connection stays
    lose-request    the request never arrives, and the connection is lost
    delay           answers come `seconds` later
    half-open       nothing passes either way any more on connections that are there, and nobody is told
    `times` is how often; 0 is until it is taken away.
    """

    id: int
    action: str
    apis: tuple[int, ...] = ()
    peers: tuple[str, ...] = ()
    times: int = 0
    seconds: float = 0.0

    def concerns(self, api: int, peer: str) -> bool:
        """Whether it is about this request."""
        return (not self.apis or api in self.apis) and (not self.peers or peer in self.peers)


@dataclass
class Rules:
    """Those in force, and how often each has struck."""

    armed: dict[int, Rule] = field(default_factory=dict)
    struck: dict[int, int] = field(default_factory=dict)

    def strike(self, api: int, peer: str, actions: tuple[str, ...]) -> Rule | None:
        """The rule that strikes this request now, if any."""
        for rule in self.armed.values():
            done = self.struck.get(rule.id, 0)
            if rule.action in actions and (not rule.times or done < rule.times) and rule.concerns(api, peer):
                self.struck[rule.id] = done + 1
                tell({"struck": rule.id, "count": done + 1})
                return rule
        return None


def tell(word: dict[str, Any]) -> None:
    """To whoever started us."""
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()


class _Broker(asyncio.Protocol):
    """The side of a connection that is the broker's."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._frames = Frames(ANSWER_HEAD)

    def data_received(self, data: bytes) -> None:
        for head, piece in self._frames.feed(data):
            self._link.from_broker(head, piece)

    def connection_lost(self, _: Exception | None) -> None:
        self._link.close()

    def pause_writing(self) -> None:
        self._link.hold_client(True)

    def resume_writing(self) -> None:
        self._link.hold_client(False)


class Link(asyncio.Protocol):
    """One connection of a client, and ours to the broker for it."""

    def __init__(self, target: tuple[str, int], rules: Rules, links: set[Link]) -> None:
        self._target = target
        self._rules = rules
        self._links = links
        self._frames = Frames(REQUEST_HEAD)
        self._asked: dict[int, Rule] = {}
        self._early: list[bytes] = []
        self._late: deque[tuple[float, bytes]] = deque()
        self._client: asyncio.Transport | None = None
        self._broker: asyncio.Transport | None = None
        self._drop_request = self._drop_answer = False
        self._closed = False
        self.stuck = False
        self.peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client = cast("asyncio.Transport", transport)
        self._client.set_write_buffer_limits(_PAUSE_AT)
        self.peer = str(transport.get_extra_info("peername")[0])
        self._links.add(self)
        self._connecting = asyncio.ensure_future(self._connect())

    async def _connect(self) -> None:
        try:
            loop = asyncio.get_running_loop()
            transport, _ = await loop.create_connection(lambda: _Broker(self), *self._target)
        except OSError:
            self.close()
            return
        transport.set_write_buffer_limits(_PAUSE_AT)
        self._broker = transport
        if self._closed:
            transport.abort()
            return
        for piece in self._early:
            transport.write(piece)
        self._early.clear()

    def data_received(self, data: bytes) -> None:
        for head, piece in self._frames.feed(data):
            if self._closed or self.stuck:
                return
            if head is not None:
                self._drop_request = self._asks(*request_of(head))
            if self._drop_request:
                continue
            if self._broker is None:
                self._early.append(piece)
            else:
                self._broker.write(piece)

    def _asks(self, api: int, correlation: int) -> bool:
        """Whether this request is to be lost; notes what is to befall its answer."""
        if not self._rules.armed:
            return False
        if self._rules.strike(api, self.peer, ("lose-request",)):
            self.close()
            return True
        rule = self._rules.strike(api, self.peer, ("lose-answer", "swallow-answer", "delay"))
        if rule is not None:
            self._asked[correlation] = rule
        return False

    def from_broker(self, head: bytes | None, piece: bytes) -> None:
        """A piece of an answer."""
        if self._closed or self.stuck:
            return
        if head is not None:
            rule = self._asked.pop(answered_by(head), None) if self._asked else None
            self._drop_answer = rule is not None and rule.action == "swallow-answer"
            if rule is not None and rule.action == "lose-answer":
                self.close()
                return
            if rule is not None and rule.action == "delay":
                self._wait(rule.seconds)
        if self._drop_answer:
            return
        assert self._client is not None
        if self._late:
            self._late.append((0.0, piece))
        else:
            self._client.write(piece)

    def _wait(self, seconds: float) -> None:
        """From here on hold what comes, so that answers stay in order."""
        loop = asyncio.get_running_loop()
        self._late.append((loop.time() + seconds, b""))
        if len(self._late) == 1:
            loop.call_later(seconds, self._release)

    def _release(self) -> None:
        loop = asyncio.get_running_loop()
        while self._late and not self._closed:
            until, piece = self._late[0]
            if until > loop.time() + 0.001:
                loop.call_at(until, self._release)
                return
            self._late.popleft()
            assert self._client is not None
            self._client.write(piece)

    def hold_client(self, hold: bool) -> None:
        """Stop or go on reading from the client: the broker does not keep up."""
        if self._client is not None and not self._closed:
            (self._client.pause_reading if hold else self._client.resume_reading)()

    def pause_writing(self) -> None:
        if self._broker is not None and not self._closed:
            self._broker.pause_reading()

    def resume_writing(self) -> None:
        if self._broker is not None and not self._closed:
            self._broker.resume_reading()

    def connection_lost(self, _: Exception | None) -> None:
        self.close()

    def close(self) -> None:
        """End both sides at once."""
        if self._closed:
            return
        self._closed = True
        self._links.discard(self)
        for transport in (self._client, self._broker):
            if transport is not None:
                transport.abort()


class Proxies:
    """One for every broker, under the same rules."""

    def __init__(self) -> None:
        self.rules = Rules()
        self.links: set[Link] = set()

    async def serve(self, listen: tuple[str, int], target: tuple[str, int]) -> int:
        """Stand before `target`; the port that was taken."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Link(target, self.rules, self.links), *listen)
        return int(server.sockets[0].getsockname()[1])

    def obey(self, word: dict[str, Any]) -> None:
        """`arm` with a rule, `disarm` with its id, `reset` connections of `peers` (none: all)."""
        if "arm" in word:
            rule = Rule(**{name: _tupled(value) for name, value in word["arm"].items()})
            self.rules.armed[rule.id] = rule
            if rule.action == "half-open":
                for link in self.links:
                    link.stuck = link.stuck or rule.concerns(-1, link.peer)
        elif "disarm" in word:
            rule = self.rules.armed.pop(word["disarm"])
            if rule.action == "half-open":
                for link in [one for one in self.links if one.stuck]:
                    link.close()
        elif "reset" in word:
            for link in [one for one in self.links if not word["reset"] or one.peer in word["reset"]]:
                link.close()


def arm(rule: Rule) -> bytes:
    """The line that puts a rule in force."""
    return json.dumps({"arm": asdict(rule)}).encode() + b"\n"


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _place(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


async def _main(pairs: list[str]) -> None:
    proxies = Proxies()
    for pair in pairs:
        listen, _, target = pair.partition("=")
        await proxies.serve(_place(listen), _place(target))
    loop, over = asyncio.get_running_loop(), asyncio.Event()

    def listen_to_parent() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(proxies.obey, json.loads(line))
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=listen_to_parent, daemon=True).start()
    tell({"ready": len(pairs)})
    await over.wait()


if __name__ == "__main__":
    import uvloop

    with suppress(KeyboardInterrupt):
        uvloop.run(_main(sys.argv[1:]))
