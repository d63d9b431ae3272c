"""The front door for HL7 over MLLP: nothing is acknowledged before it is safe."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from hub.events.generated.payments import PaymentCreated
from hub.gateway.listeners import listening
from hub.sdk import Fact, Instance, ListenerSettings, ListenerSource, Record
from hub.sdk.fleet import Fleet, Member
from hub.sdk.hl7 import Framer, Message, framed
from hub.stream.conditions import Conditions
from hub.stream.ingest import Ingest
from hub.stream.reading import read_all
from tests.stream.at_work import make_topics

_CONNECTIONS = Path("/proc/net/tcp")


class Referral(Record):
    id: str


class Referrals(ListenerSource[ListenerSettings, Referral]):
    emits = (PaymentCreated,)
    takes = ("REF^I12", "REF^I14")
    key_field = "RF1-6"
    largest = 4096

    def events(self, record: Referral) -> Iterator[Fact]:
        return iter(())


def referral(control_id: str = "", kind: str = "REF^I12^REF_I12", note: str = "") -> bytes:
    control_id = control_id or uuid.uuid4().hex[:20]
    return (
        f"MSH|^~\\&|PAS|TRUST|HUB|COUNCIL|202601251620||{kind}|{control_id}|P|2.4\r"
        f"RF1|P|R|||O|R-{control_id}\rNTE|1||{note}\r"
    ).encode()


@pytest.fixture(scope="module")
def connector(kafka: str) -> str:
    name = f"mllp{uuid.uuid4().hex[:8]}"
    make_topics(kafka, **{f"raw.{name}": 1})
    return name


class Sender:
    """A hospital's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.port = int(writer.get_extra_info("peername")[1])
        self.own_port = int(writer.get_extra_info("sockname")[1])
        self._framer = Framer()
        self._replies: list[Message] = []

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def reply(self) -> Message:
        while not self._replies:
            data = await asyncio.wait_for(self._reader.read(65_536), 30)
            if not data:
                raise ConnectionResetError
            self._replies += [Message.parse(one) for one in self._framer.feed(data)]
        return self._replies.pop(0)

    async def send(self, body: bytes) -> Message:
        await self.write(framed(body))
        return await self.reply()


@asynccontextmanager
async def connected(connector: str, servers: str, **settings: object) -> AsyncIterator[Sender]:
    config = ListenerSettings(**{"listen_port": 0, **settings})  # type: ignore[arg-type]
    instance = Instance("hospital", connector, "E08000025")
    ingest = Ingest(servers, timeout=2.0 if servers.endswith(":1") else 30.0)
    fleet = Fleet({"hospital": Member(instance, (Referrals(instance, config),))})
    async with listening(fleet, ingest, Conditions(ingest.put)) as ports, joined(ports["hospital"]) as sender:
        yield sender
    ingest.close()


@asynccontextmanager
async def joined(port: int) -> AsyncIterator[Sender]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Sender(reader, writer)
    finally:
        writer.close()


def kept(kafka: str, connector: str) -> dict[bytes, str]:
    return {one.value(): one.key().decode() for one in read_all(kafka, f"raw.{connector}", 0)}


async def test_aa_means_that_the_bytes_are_in_kafka_under_their_entity(kafka: str, connector: str) -> None:
    body = referral("C1")
    async with connected(connector, kafka) as sender:
        reply = await sender.send(body)
    assert (reply.get("MSA-1"), reply.get("MSA-2"), reply.get("MSH-9.1")) == ("AA", "C1", "ACK")
    assert (reply.get("MSH-3"), reply.get("MSH-5")) == ("HUB", "PAS")
    assert kept(kafka, connector)[body] == "R-C1"


async def test_a_message_whose_entity_is_very_long_is_kept_under_the_beginning_of_it(
    kafka: str, connector: str
) -> None:
    body = referral("C" * 2_000)
    async with connected(connector, kafka) as sender:
        assert (await sender.send(body)).get("MSA-1") == "AA"
    assert kept(kafka, connector)[body] == "R-" + "C" * 253


async def test_frames_split_anywhere_and_merged_are_the_same_messages(kafka: str, connector: str) -> None:
    bodies = [referral() for _ in range(3)]
    stream = b"".join(framed(body) for body in bodies)
    async with connected(connector, kafka) as sender:
        for start in range(0, len(stream), 7):
            await sender.write(stream[start : start + 7])
        split = [(await sender.reply()).get("MSA-2") for _ in bodies]
        await sender.write(stream)
        merged = [(await sender.reply()).get("MSA-2") for _ in bodies]
    assert split == merged == [Message.parse(body).get("MSH-10") for body in bodies]


@pytest.mark.parametrize(
    ("body", "code", "place"),
    [
        (referral(kind="ADT^A01"), "200", "MSH^1^9"),
        (referral(kind="REF^I15"), "201", "MSH^1^9"),
        (referral("C2").replace(b"|C2|", b"||"), "101", "MSH^1^10"),
        (b"PID|1", "207", "MSH"),
        (b"", "207", "MSH"),
        (b"\xff\xfe\x00", "207", "MSH"),
    ],
)
async def test_what_is_not_taken_is_ae_with_the_field_at_fault_and_not_kept(
    kafka: str, connector: str, body: bytes, code: str, place: str
) -> None:
    async with connected(connector, kafka) as sender:
        reply = await sender.send(body)
        assert (reply.get("MSA-1"), reply.get("ERR-3")) == ("AE", code)
        assert reply.all("ERR")[0][2] == place
        assert (await sender.send(referral())).get("MSA-1") == "AA", "the next message goes on"
    assert body not in kept(kafka, connector)


async def test_while_kafka_is_away_the_sender_is_told_to_come_again(connector: str) -> None:
    async with connected(connector, "127.0.0.1:1") as sender:
        assert (await sender.send(referral())).get("MSA-1") == "AR"


async def test_a_sender_from_elsewhere_is_hung_up_on(kafka: str, connector: str) -> None:
    async with connected(connector, kafka, allow_from=("10.0.0.1",)) as sender:
        with pytest.raises(ConnectionError):
            await sender.send(referral())


async def test_one_connection_too_many_costs_the_one_that_was_silent_longest(connector: str) -> None:
    refused = referral(kind="ADT^A01")  # answered without Kafka
    async with connected(connector, "127.0.0.1:1") as first, AsyncExitStack() as stack:
        await first.send(refused)
        others = [await stack.enter_async_context(joined(first.port)) for _ in range(99)]
        for sender in (*others, first):
            await sender.send(refused)
        one_more = await stack.enter_async_context(joined(first.port))
        assert (await one_more.send(refused)).get("MSA-1") == "AE"
        with pytest.raises(ConnectionError):
            await others[0].reply()
        for sender in (*others[1:], first):
            assert (await sender.send(refused)).get("MSA-1") == "AE"


@pytest.mark.skipif(not _CONNECTIONS.exists(), reason="the system does not tell which timers run")
async def test_a_sender_that_went_without_a_word_is_looked_for(connector: str) -> None:
    async with connected(connector, "127.0.0.1:1") as sender:
        await sender.send(referral(kind="ADT^A01"))
        timers = {
            (int(local[-4:], 16), int(remote[-4:], 16)): timer[:2]
            for _, local, remote, _, _, timer, *_ in map(str.split, _CONNECTIONS.open().readlines()[1:])
        }
    assert timers[sender.port, sender.own_port] == "02", "2 is that of TCP keep-alive"


@pytest.mark.parametrize("data", [b"MSH|no frame", b"\x0b" + b"x" * 10_000, framed(b"x" * 5_000)])
async def test_what_is_no_frame_or_too_long_ends_the_connection(
    kafka: str, connector: str, data: bytes
) -> None:
    async with connected(connector, kafka) as sender:
        await sender.write(data)
        with pytest.raises(ConnectionError):
            await sender.reply()


async def test_enhanced_mode_is_answered_with_commit_codes(kafka: str, connector: str) -> None:
    body = referral().replace(b"|P|2.4\r", b"|P|2.4|||AL|NE\r")
    async with connected(connector, kafka) as sender:
        assert (await sender.send(body)).get("MSA-1") == "CA"


async def test_the_next_gateway_listens_before_this_one_ends(kafka: str, connector: str) -> None:
    async with connected(connector, kafka) as before:
        port = before.port
        async with connected(connector, kafka, listen_port=port) as after:
            assert after.port == port
            assert (await before.send(referral())).get("MSA-1") == "AA"
            assert (await after.send(referral())).get("MSA-1") == "AA"
