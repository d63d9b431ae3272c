"""The sender against a real server with bad habits: every one of them is an outcome, in time, and no more."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

import msgspec
import pytest

from hub.delivery.http import Content, parse
from hub.delivery.message import Message
from hub.delivery.schedule import Outcome
from hub.delivery.sender import Sender
from hub.delivery.signing import derive_secret, verify
from hub.delivery.subscription import Subscription
from hub.events.envelope import Envelope
from hub.registry.codec import encode
from hub.registry.schemas import Registry, Schema
from hub.stream.recipients import Webhooks
from hub.stream.subscriptions import Subscriptions

MASTER = bytes(range(32))
NOW = 1_700_000_000.0
EVENT = Envelope(
    "evt-1",
    "/connectors/x",
    "a.b.happened",
    "Zoë",
    datetime(2026, 5, 1, tzinfo=UTC),
    "p",
    "c",
    "r",
    "00-0-0-01",
)
Habit = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Reads whole requests, keeps them, and answers by habit; counts connections."""

    def __init__(self, habit: Habit) -> None:
        self._habit = habit
        self.connections = 0
        self.closed = asyncio.Semaphore(0)
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.heads.append(head)
                self.bodies.append(await reader.readexactly(length))
                await self._habit(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self.closed.release()

    def headers(self, number: int = 0) -> dict[str, str]:
        lines = self.heads[number].decode("ascii").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines) if name}


def says(text: str) -> Habit:
    async def habit(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text.replace("\n", "\r\n").encode())
        await writer.drain()

    return habit


def status(line: str, headers: str = "", body: str = "") -> Habit:
    return says(f"HTTP/1.1 {line}\n{headers}content-length: {len(body)}\n\n{body}")


async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
    raise ConnectionResetError


async def half_an_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await says("HTTP/1.1 200 OK\ncontent-length: 100\n\nonly this")(reader, writer)
    raise ConnectionResetError


async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\nx\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"4000\r\n" + b"x" * 0x4000 + b"\r\n")
        await writer.drain()


@asynccontextmanager
async def serving(habit: Habit, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[Server, str]]:
    server = Server(habit)
    listening = await asyncio.start_server(server, "127.0.0.1", 0, ssl=tls)
    scheme = "https" if tls else "http"
    try:
        yield server, f"{scheme}://localhost:{listening.sockets[0].getsockname()[1]}/hook?t=hunter2"
    finally:
        listening.close()


@asynccontextmanager
async def sending(allow_local: bool = True) -> AsyncIterator[Sender]:
    sender = Sender(MASTER, allow_local=allow_local, now=lambda: NOW)
    try:
        yield sender
    finally:
        await sender.close()


def subscription(url: str, timeout_s: float = 5) -> Subscription:
    return Subscription(id="s1", party="p", url=url, timeout_s=timeout_s)


async def outcome_of(habit: Habit, timeout_s: float = 5) -> Outcome:
    async with serving(habit) as (_, url), sending() as sender:
        outcome = await sender.send(subscription(url, timeout_s), Content(EVENT, {"a": 1}))
        assert "hunter2" not in outcome.reason
        return outcome


async def test_a_delivery_arrives_signed_and_whole() -> None:
    async with serving(status("204 No Content")) as (server, url), sending() as sender:
        for mode in ("structured", "binary"):
            one = msgspec.structs.replace(subscription(url), mode=mode)
            assert await sender.send(one, Content(EVENT, {"name": "Zoë"})) == Outcome(204)
    for number in range(2):
        assert server.heads[number].startswith(b"POST /hook?t=hunter2 HTTP/1.1\r\n")
        verify(server.headers(number), server.bodies[number], derive_secret(MASTER, "s1", 1), NOW)
        attributes, data = parse(server.headers(number), server.bodies[number])
        assert (attributes["subject"], data) == ("Zoë", {"name": "Zoë"})
    assert server.connections == 1


async def test_a_time_that_no_calendar_has_is_given_up_at_once_by_the_name_of_its_field() -> None:
    kind = {"type": "long", "logicalType": "timestamp-micros"}
    definition = {
        "type": "record",
        "namespace": "a",
        "name": "B",
        "fields": [{"name": "paid_at", "type": kind}],
    }
    schema = Schema.of(1, EVENT.type, 1, definition)
    texts = {f"ce_{name}": text for name, text in EVENT.attributes().items()}
    message = Message(("inbox.p", 0, 0), texts, encode(schema, {"paid_at": 2**62}), 0)
    subscriptions = Subscriptions()
    subscriptions.change("s1", subscription("http://127.0.0.1:9/").to_bytes())
    async with sending() as sender:
        (webhook,) = Webhooks(subscriptions, sender, Registry([schema])).of("p")
        reason = "data: paid_at: a time outside the years 1 to 9999"
        assert await webhook.send(message) == Outcome(
            reason=reason, final=True, kind="codec", field="paid_at"
        )


@pytest.mark.parametrize("code", [200, 201, 202, 204])
async def test_any_2xx_is_taken(code: int) -> None:
    assert await outcome_of(status(f"{code} Fine", body="" if code == 204 else "thanks")) == Outcome(code)


@pytest.mark.parametrize("code", [400, 401, 404, 410, 500, 503])
async def test_a_failing_status_is_told(code: int) -> None:
    assert await outcome_of(status(f"{code} No")) == Outcome(code, f"the subscriber answered {code}")


async def test_a_redirect_is_not_followed() -> None:
    async with serving(status("204 No Content")) as (elsewhere, target):
        outcome = await outcome_of(status("302 Found", f"location: {target}\n"))
        assert outcome.status == 302
        assert elsewhere.heads == []


async def test_retry_after_is_read_in_seconds_and_as_a_date() -> None:
    assert (await outcome_of(status("429 Slow down", "Retry-After: 120\n"))).retry_after == 120
    date = format_datetime(datetime.fromtimestamp(NOW + 60, UTC), usegmt=True)
    assert (await outcome_of(status("503 Busy", f"Retry-After: {date}\n"))).retry_after == 60
    assert (await outcome_of(status("503 Busy", "Retry-After: whenever\n"))).retry_after is None


@pytest.mark.parametrize("habit", [hang, drip], ids=["hangs", "drips"])
async def test_a_receiver_that_takes_too_long_is_cut_off_at_the_time_limit(habit: Habit) -> None:
    started = asyncio.get_running_loop().time()
    assert await outcome_of(habit, timeout_s=0.2) == Outcome(reason="no answer within 0.2 s")
    assert asyncio.get_running_loop().time() - started < 2


@pytest.mark.parametrize("habit", [reset, half_an_answer], ids=["resets", "stops half-way"])
async def test_a_broken_connection_is_a_failed_attempt(habit: Habit) -> None:
    outcome = await outcome_of(habit)
    assert outcome == Outcome(reason="the connection broke, or what came back is not HTTP")


@pytest.mark.parametrize(
    "answer",
    [
        "SSH-2.0-OpenSSH_9.6\n",
        "HTTP/1.1 abc\n\n",
        "HTTP/1.1 200 OK\ncontent-length: -5\n\n",
        "\x00" * 200_000,
    ],
)
async def test_what_is_not_http_is_a_failed_attempt(answer: str) -> None:
    outcome = await outcome_of(says(answer), timeout_s=1)
    assert (outcome.status, outcome.ok) == (0, False)


async def test_endless_headers_are_cut_off() -> None:
    outcome = await outcome_of(says("HTTP/1.1 200 OK\n" + "x-a: " + "b" * 5_000_000))
    assert not outcome.ok


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    assert await outcome_of(flood) == Outcome(200)


async def test_the_connection_is_kept_and_made_anew_when_the_server_closed_it() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await status("204 No Content")(reader, writer)
        raise ConnectionResetError

    async with serving(once) as (server, url), sending() as sender:
        for _ in range(3):
            assert (await sender.send(subscription(url), Content(EVENT, {}))).ok
            await server.closed.acquire()
        assert server.connections == 3


async def test_a_connection_made_for_a_delivery_that_breaks_is_not_made_again_for_it() -> None:
    async with serving(reset) as (server, url), sending() as sender:
        assert not (await sender.send(subscription(url), Content(EVENT, {}))).ok
        assert server.connections == 1


async def test_connections_to_hosts_that_get_nothing_more_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.delivery.guard._KEEP_S", 0.01)
    async with serving(status("204 No Content")) as (server, url), sending() as sender:
        for _ in range(2):
            assert (await sender.send(subscription(url), Content(EVENT, {}))).ok
            await asyncio.wait_for(server.closed.acquire(), 60)


async def test_closing_unused_connections_spares_the_ones_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hub.delivery.guard._KEEP_S", 0.01)
    asked, answer = asyncio.Event(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await answer.wait()
        await status("204 No Content")(reader, writer)

    fine = status("204 No Content")
    async with serving(slow) as (_, first), serving(fine) as (unused, second), sending() as sender:
        under_way = asyncio.ensure_future(sender.send(subscription(first), Content(EVENT, {})))
        await asked.wait()
        for _ in range(3):
            assert (await sender.send(subscription(second), Content(EVENT, {}))).ok
            await asyncio.wait_for(unused.closed.acquire(), 60)
        answer.set()
        assert (await under_way).ok


@pytest.mark.parametrize(("most", "stuck"), [(2, 5), (500, 120)])
async def test_a_host_that_hangs_uses_its_own_connections_and_no_others(
    most: int, stuck: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.delivery.guard._MOST_PER_HOST", most)
    asked = asyncio.Semaphore(0)

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.release()
        await hang(reader, writer)

    fine = status("204 No Content")
    async with serving(hangs) as (hanging, first), serving(fine) as (_, second), sending() as sender:
        tasks = [
            asyncio.create_task(sender.send(subscription(first, 300), Content(EVENT, {})))
            for _ in range(stuck)
        ]
        for _ in range(min(most, stuck)):
            await asyncio.wait_for(asked.acquire(), 60)
        assert (await sender.send(subscription(second), Content(EVENT, {}))).ok
        assert hanging.connections == min(most, stuck)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def test_a_sender_can_be_made_before_there_is_an_event_loop() -> None:
    sender = Sender(MASTER, allow_local=True)

    async def run() -> Outcome:
        try:
            async with serving(status("204 No Content")) as (_, url):
                return await sender.send(subscription(url), Content(EVENT, {}))
        finally:
            await sender.close()

    assert asyncio.run(run()).ok


async def test_the_url_is_sent_as_the_subscriber_wrote_it() -> None:
    async with serving(status("204 No Content")) as (server, url), sending() as sender:
        await sender.send(
            subscription(url.replace("/hook?t=hunter2", "/%7ea%2Fb/../c?d=%20+&e")), Content(EVENT, {})
        )
        assert server.heads[0].startswith(b"POST /%7ea%2Fb/../c?d=%20+&e HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "url", ["", "hooks", "https://", "https://a.gov.uk/\r\nx: y", "https://[::1", "ftp://a"]
)
async def test_what_is_no_url_is_a_failed_attempt_that_does_not_repeat_it(url: str) -> None:
    async with sending() as sender:
        outcome = await sender.send(subscription(url), Content(EVENT, {}))
    assert (outcome.status, outcome.ok) == (0, False)
    assert outcome.reason == "the subscriber's URL cannot be read"


async def test_a_packed_answer_is_not_unpacked() -> None:
    assert (await outcome_of(status("200 OK", "content-encoding: gzip\n", "not gzip"))).ok


async def test_cookies_are_not_kept() -> None:
    async with (
        serving(status("200 OK", "set-cookie: track=1; path=/\n")) as (server, url),
        sending() as sender,
    ):
        for _ in range(2):
            await sender.send(subscription(url), Content(EVENT, {}))
        assert "cookie" not in server.headers(1)


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert (await outcome_of(status("204 No Content"))).ok


async def test_a_port_where_nobody_listens_is_a_failed_attempt() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        async with sending() as sender:
            assert await sender.send(subscription(url), Content(EVENT, {})) == Outcome(reason="no connection")


@pytest.mark.parametrize("data", [{"a": object()}, {"a": "\ud800"}])
async def test_what_cannot_be_json_is_not_tried_again(data: dict[str, object]) -> None:
    async with sending() as sender:
        outcome = await sender.send(subscription("https://hooks.example.gov.uk/"), Content(EVENT, data))
        assert (outcome.status, outcome.final) == (0, True)


async def test_without_leave_nothing_is_sent_to_this_machine() -> None:
    async with serving(status("204 No Content")) as (server, url), sending(allow_local=False) as sender:
        for host in ("localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
            outcome = await sender.send(subscription(url.replace("localhost", host)), Content(EVENT, {}))
            assert (outcome.status, outcome.ok) == (0, False)
            assert "not public" in outcome.reason
        assert server.connections == 0


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1%lo", "::ffff:a00:1"]
)
async def test_a_public_name_that_resolves_to_a_private_address_is_not_connected_to(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [["81.2.69.142", address], [address]]
    tried = resolve_to(answers, monkeypatch)
    async with sending(allow_local=False) as sender:
        for _ in range(2):
            outcome = await sender.send(subscription("https://rebind.example.gov.uk/"), Content(EVENT, {}))
            assert "not public" in outcome.reason
    assert tried == []


async def test_an_address_as_the_host_is_judged_too_and_connected_to_however_it_is_spelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried = resolve_to([], monkeypatch)
    async with sending(allow_local=False) as sender:
        for host in ("81.2.69.142", "1359103374", "0x51.2.17806", "[2a00:23c0::1]"):
            await sender.send(subscription(f"https://{host}/"), Content(EVENT, {}))
        for host in ("10.0.0.1", "167772161", "0x0a.1", "[fe80::1]", "[::ffff:a00:1]", "[64:ff9b::a00:1]"):
            outcome = await sender.send(subscription(f"https://{host}/"), Content(EVENT, {}))
            assert "not public" in outcome.reason
    assert tried == ["81.2.69.142"] * 3 + ["2a00:23c0::1"]


async def test_the_address_that_was_judged_is_the_one_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = resolve_to([["2a00:23c0::1", "81.2.69.142"], ["127.0.0.1"]], monkeypatch)
    async with sending(allow_local=False) as sender:
        outcome = await sender.send(subscription("https://rebind.example.gov.uk/"), Content(EVENT, {}))
    assert outcome == Outcome(reason="no connection")
    assert tried == ["2a00:23c0::1", "81.2.69.142"]


async def test_names_that_nobody_answers_for_hold_up_no_other_and_are_asked_for_once_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop, lookup = asyncio.get_running_loop(), socket.getaddrinfo
    asked: list[str] = []
    begun, over = asyncio.Semaphore(0), threading.Event()

    def getaddrinfo(host: str, *rest: object, **more: object) -> object:
        if host == "works.example.gov.uk":
            return lookup("127.0.0.1", *rest, **more)  # type: ignore[arg-type]
        asked.append(host)
        loop.call_soon_threadsafe(begun.release)
        over.wait()
        raise socket.gaierror

    # The loop's own way has room for two, as uvloop's has.
    loop.set_default_executor(ThreadPoolExecutor(2))
    hanging = [f"hangs-{number}.example.gov.uk" for number in range(31)]
    async with serving(status("204 No Content")) as (_, url), sending() as sender:
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        tasks = [
            asyncio.create_task(sender.send(subscription(f"https://{host}/", 300), Content(EVENT, {})))
            for host in [*hanging, *hanging]
        ]
        works = url.replace("localhost", "works.example.gov.uk")
        try:
            for _ in range(2):
                await asyncio.wait_for(begun.acquire(), 60)
            assert (await sender.send(subscription(works), Content(EVENT, {}))).ok
        finally:
            over.set()
        assert {(await task).reason for task in tasks} == {"the subscriber's host name does not resolve"}
    assert sorted(asked) == sorted(hanging)


def resolve_to(answers: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A name server that answers differently each time; returns the addresses that are connected to."""
    tried: list[str] = []

    def getaddrinfo(*_: object, **__: object) -> list[tuple[int, int, int, str, tuple[str, int]]]:
        return [(0, 0, 0, "", (address, 443)) for address in answers.pop(0)]

    async def sock_connect(_: socket.socket, address: tuple[str, int]) -> None:
        tried.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", sock_connect)
    return tried


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")
async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=localhost"
    named = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *made.split(), *named], check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    async with serving(status("204 No Content"), tls) as (server, url):
        async with sending() as sender:
            outcome = await sender.send(subscription(url), Content(EVENT, {}))
            assert outcome == Outcome(reason="the subscriber's certificate is not valid")
        trust = ssl.create_default_context(cafile=certificate)
        vouched = Sender(MASTER, allow_local=True, trust=trust)
        assert (await vouched.send(subscription(url), Content(EVENT, {}))).ok
        wrong_name = await vouched.send(
            subscription(url.replace("localhost", "127.0.0.1")), Content(EVENT, {})
        )
        assert wrong_name.reason == "the subscriber's certificate is not valid"
        await vouched.close()
        assert len(server.heads) == 1
