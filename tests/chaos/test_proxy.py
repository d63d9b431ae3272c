"""The proxy knows requests by their kind however they are cut, and does to them what it is told, and no more."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.proxy import Proxies, Rule
from tests.chaos.wire import ANSWER_HEAD, APIS, REQUEST_HEAD, Frames, answered_by, request_of

#: How long an answer is waited for that must not come, seconds.
A_MOMENT = 0.3


def request(api: int, correlation: int, rest: bytes = b"") -> bytes:
    body = struct.pack(">hhi", api, 9, correlation) + rest
    return struct.pack(">i", len(body)) + body


def answer(correlation: int, rest: bytes = b"") -> bytes:
    body = struct.pack(">i", correlation) + rest
    return struct.pack(">i", len(body)) + body


@given(
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 2**31 - 1), st.binary(max_size=50)), max_size=8),
    st.lists(st.integers(1, 40), max_size=30),
)
def test_frames_are_found_wherever_the_stream_is_cut(
    frames: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(request(*frame) for frame in frames)
    scanner, at, heads, passed = Frames(REQUEST_HEAD), 0, [], b""
    for size in [*cuts, len(stream) + 1]:
        for head, piece in scanner.feed(stream[at : at + size]):
            passed += piece
            if head is not None:
                heads.append(request_of(head))
        at += size
    assert passed == stream
    assert heads == [(api, correlation) for api, correlation, _ in frames]


class Server:
    """Answers every request with its own correlation id, and counts."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def was_asked(self, api: str) -> None:
        """Returns when it was."""
        async with asyncio.timeout(10):
            while APIS[api] not in self.asked:
                await asyncio.sleep(0.01)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack(">i", await reader.readexactly(4))
                api, correlation = request_of((await reader.readexactly(length))[:REQUEST_HEAD])
                self.asked.append(api)
                writer.write(answer(correlation, b"x" * 100_000))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def staged() -> AsyncIterator[tuple[Server, Proxies, int]]:
    server, proxies = Server(), Proxies()
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = await proxies.serve(("127.0.0.1", 0), ("127.0.0.1", listener.sockets[0].getsockname()[1]))
    yield server, proxies, port
    listener.close()
    for link in list(proxies.links):
        link.close()


class Client:
    """Asks, and says which answer came; None for none in time, and `closed` where there will be no other."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.closed = False

    async def open(self) -> Client:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def ask(self, api: str, correlation: int, patience: float = 10) -> int | None:
        self.writer.write(request(APIS[api], correlation))
        try:
            async with asyncio.timeout(patience):
                (length,) = struct.unpack(">i", await self.reader.readexactly(4))
                return answered_by((await self.reader.readexactly(length))[:ANSWER_HEAD])
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed = True
        except TimeoutError:
            pass
        return None


def told(action: str, *apis: str, **more: object) -> dict[str, object]:
    return {"arm": asdict(Rule(1, action, tuple(APIS[name] for name in apis), **more))}  # type: ignore[arg-type]


async def test_without_a_rule_everything_passes() -> None:
    async with staged() as (_, _, port):
        client = await Client(port).open()
        assert [await client.ask("Produce", number) for number in range(5)] == list(range(5))


@pytest.mark.parametrize(
    ("action", "arrives", "closed"),
    [("lose-answer", True, True), ("swallow-answer", True, False), ("lose-request", False, True)],
)
async def test_the_chosen_request_or_its_answer_is_lost_once(
    action: str, arrives: bool, closed: bool
) -> None:
    async with staged() as (server, proxies, port):
        proxies.obey(told(action, "EndTxn", times=1))
        client = await Client(port).open()
        assert await client.ask("Produce", 1) == 1
        assert await client.ask("EndTxn", 2, 10 if closed else A_MOMENT) is None
        assert client.closed is closed
        if arrives:
            await server.was_asked("EndTxn")
        assert (APIS["EndTxn"] in server.asked) is arrives
        client = await Client(port).open()
        assert await client.ask("EndTxn", 3) == 3


async def test_a_late_answer_holds_those_behind_it() -> None:
    async with staged() as (_, proxies, port):
        proxies.obey(told("delay", "EndTxn", times=1, seconds=0.2))
        client = await Client(port).open()
        client.writer.write(request(APIS["EndTxn"], 1))
        began = asyncio.get_running_loop().time()
        assert await client.ask("Produce", 2) == 1
        assert asyncio.get_running_loop().time() - began > 0.15


async def test_half_open_connections_say_nothing_and_new_ones_are_well() -> None:
    async with staged() as (_, proxies, port):
        old = await Client(port).open()
        assert await old.ask("Fetch", 1) == 1
        proxies.obey(told("half-open"))
        assert await old.ask("Fetch", 2, A_MOMENT) is None
        assert not old.closed
        assert await (await Client(port).open()).ask("Fetch", 3) == 3
        proxies.obey({"disarm": 1})
        assert await old.ask("Fetch", 4) is None
        assert old.closed


async def test_only_the_named_peers_are_struck() -> None:
    async with staged() as (_, proxies, port):
        proxies.obey(told("lose-answer", "EndTxn", peers=("10.0.0.1",)))
        assert await (await Client(port).open()).ask("EndTxn", 1) == 1
        proxies.obey({"reset": ["10.0.0.1"]})
        assert proxies.links
        proxies.obey({"reset": []})
        assert not proxies.links
