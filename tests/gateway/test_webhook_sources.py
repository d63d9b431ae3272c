"""What the front door does for sources that have paths, answers and refusals of their own."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from pydantic import SecretStr

from hub.config import Gateway as Settings
from hub.events.generated.payments import PaymentCreated
from hub.gateway.room import Room
from hub.gateway.webhooks import Webhooks
from hub.sdk import Answer, ConnectorConfig, Fact, Instance, Landed, Record, Reject, Request, WebhookSource
from hub.sdk.fleet import Fleet, Member
from hub.stream.conditions import Conditions
from hub.stream.ingest import Ingest
from hub.stream.raw import attributes_of
from hub.stream.reading import read_all
from hub.testing.live import until
from tests.stream.at_work import make_topics


class Config(ConnectorConfig):
    token: SecretStr = SecretStr("agreed")
    previous: SecretStr | None = SecretStr("agreed before")


class Message(Record):
    id: str


class Messages(WebhookSource[Config, Message]):
    """In the manner of BaRS: a message is answered by an outcome, a repeat by 409, nonsense refused at the door."""

    name = "messages"
    takes, serves = ("POST /$process-message", "PUT /things/*"), ("GET /metadata",)
    keeps = ("x-request-id",)
    message_field = "id"
    emits = (PaymentCreated,)

    def verify(self, request: Request) -> None:
        if "x-request-id" not in request.headers:
            raise Reject("X-Request-Id: missing", field="X-Request-Id", kind="400")

    def answer(self, request: Request, landed: Landed) -> Answer:
        if b"trip" in request.body:
            raise RuntimeError("a bug in the connector")
        return Answer.of_json({"issue": "duplicate" if landed.again else "ok"}, 409 if landed.again else 200)

    def refusal(self, request: Request, status: int, error: Reject | None) -> Answer | None:
        told = int(error.kind) if error and error.kind.isdigit() else status
        return Answer.of_json({"issue": "refused"}, told)

    async def serve(self, request: Request) -> Answer:
        return Answer.of_json({"mode": request.query.get("mode", "full")})


class Receipts(WebhookSource[Config, Message]):
    """In the manner of Notify: a bearer token, and no answer but the status."""

    name = "receipts"
    takes = ("POST /receipts",)
    emits = (PaymentCreated,)

    def verify(self, request: Request) -> None:
        request.require_bearer(self.config.token, self.config.previous)

    def events(self, record: Message) -> Iterator[Fact]:
        return iter(())


@pytest.fixture(scope="module")
def connector(kafka: str) -> str:
    name = f"door{uuid.uuid4().hex[:8]}"
    make_topics(kafka, **{f"raw.{name}": 1, "hub.journal": 4})
    return name


@pytest.fixture
async def door(kafka: str, connector: str) -> AsyncIterator[httpx2.AsyncClient]:
    ingest = Ingest(kafka)
    async with _door(connector, ingest) as client:
        yield client
    ingest.close()


def _door(connector: str, ingest: Ingest, room: Room | None = None) -> httpx2.AsyncClient:
    instance = Instance("mine", connector, "E08000025")
    member = Member(instance, (Messages(instance, Config()), Receipts(instance, Config())))
    settings = Settings(max_body_bytes=1024, body_timeout_s=0.3)
    room = room or Room(100, 4 << 20)
    webhooks = Webhooks(Fleet({"mine": member}), ingest, Conditions(ingest.put), settings, room)
    return httpx2.AsyncClient(
        base_url="http://hub/webhooks/mine", transport=httpx2.ASGITransport(webhooks), timeout=30
    )


def _message(**more: str) -> dict[str, str]:
    return {"id": uuid.uuid4().hex, **more}


REQUEST = {"X-Request-Id": "r-1", "X-Other": "o-1"}


async def test_the_source_answers_once_the_bytes_and_the_headers_it_keeps_are_in_kafka(
    door: httpx2.AsyncClient, kafka: str, connector: str
) -> None:
    message = _message()
    answer = await door.post("/$process-message", json=message, headers=REQUEST)
    assert (answer.status_code, answer.json()) == (200, {"issue": "ok"})
    (record,) = [r for r in read_all(kafka, f"raw.{connector}", 0) if json.loads(r.value()) == message]
    assert attributes_of(record.headers()) == {"x-request-id": "r-1"}
    assert dict(record.headers())["hub-id"].decode() == answer.headers["hub-record-id"]
    assert dict(record.headers())["hub-source"] == b"messages"


async def test_a_source_can_tell_a_repeat_that_this_gateway_has_landed(door: httpx2.AsyncClient) -> None:
    message = _message()
    await door.post("/$process-message", json=message, headers=REQUEST)
    assert (await door.post("/$process-message", json=message, headers=REQUEST)).status_code == 409


async def test_a_refusal_at_the_door_is_in_the_sources_words_and_keeps_nothing(
    door: httpx2.AsyncClient, kafka: str, connector: str
) -> None:
    message = _message()
    answer = await door.post("/$process-message", json=message)
    assert (answer.status_code, answer.json()) == (400, {"issue": "refused"})
    assert message not in [json.loads(record.value()) for record in read_all(kafka, f"raw.{connector}", 0)]


async def test_a_source_whose_answer_fails_has_taken_the_message_all_the_same(
    door: httpx2.AsyncClient,
) -> None:
    answer = await door.post("/$process-message", json=_message(note="trip"), headers=REQUEST)
    assert answer.status_code == 202
    assert "hub-record-id" in answer.headers


async def test_what_only_asks_is_served(door: httpx2.AsyncClient) -> None:
    assert (await door.get("/metadata", params={"mode": "terminology"})).json() == {"mode": "terminology"}


async def test_the_last_segment_of_a_path_can_be_any(door: httpx2.AsyncClient) -> None:
    assert (await door.put("/things/1", json=_message(), headers=REQUEST)).status_code == 200
    for path in ("/things/", "/things", "/things/1/2", "/elsewhere", "/"):
        assert (await door.put(path, json=_message(), headers=REQUEST)).status_code == 404


async def test_another_method_is_405_and_names_those_that_are_taken(door: httpx2.AsyncClient) -> None:
    answer = await door.get("/$process-message")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("token", ["Bearer agreed", "bearer agreed", "Bearer agreed before"])
async def test_the_token_agreed_now_or_before_is_genuine(door: httpx2.AsyncClient, token: str) -> None:
    answer = await door.post("/receipts", json=_message(), headers={"Authorization": token})
    assert answer.status_code == 202


@pytest.mark.parametrize("token", ["", "Bearer", "Bearer ", "Bearer agreeD", "Basic agreed", "Bearer None"])
async def test_any_other_token_is_401(door: httpx2.AsyncClient, token: str) -> None:
    answer = await door.post("/receipts", json=_message(), headers={"Authorization": token})
    assert answer.status_code == 401
    assert "agreed" not in answer.text.replace("not the one agreed", "")


async def test_a_body_over_the_limit_is_refused_in_the_sources_words(door: httpx2.AsyncClient) -> None:
    answer = await door.post("/$process-message", content=b"x" * 2000, headers=REQUEST)
    assert (answer.status_code, answer.json()) == (413, {"issue": "refused"})


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/$process-message"), ("PUT", "/things/1"), ("GET", "/metadata")]
)
async def test_who_asks_too_much_hears_of_it_in_the_sources_words_by_whatever_method_and_path(
    kafka: str, connector: str, method: str, path: str
) -> None:
    ingest, room = Ingest(kafka), Room(2, 4 << 20)
    async with _door(connector, ingest, room) as client:
        with room.enter("mine", 0):
            answer = await client.request(method, path, headers=REQUEST)
            assert (answer.status_code, answer.json()) == (429, {"issue": "refused"})
            assert answer.headers["retry-after"] == "1"
        assert (await client.get("/metadata")).status_code == 200, "its place is free again"
    ingest.close()


async def _half_a_body() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


async def test_a_body_that_does_not_come_is_given_up_in_the_sources_words(door: httpx2.AsyncClient) -> None:
    answer = await door.post("/$process-message", content=_half_a_body(), headers=REQUEST)
    assert (answer.status_code, answer.json()) == (408, {"issue": "refused"})
    assert answer.headers["connection"] == "close"


async def test_while_kafka_is_away_the_answer_stays_503_so_that_the_sender_tries_again(
    connector: str,
) -> None:
    ingest = Ingest("127.0.0.1:1", timeout=0.2)
    async with _door(connector, ingest) as client:
        answer = await client.post("/$process-message", json=_message(), headers=REQUEST)
    assert (answer.status_code, answer.json()) == (503, {"issue": "refused"})
    assert answer.headers["retry-after"] == "5"
    ingest.close()


async def test_once_kafka_is_known_to_be_away_the_answer_is_503_before_the_body_is_read(
    connector: str,
) -> None:
    ingest = Ingest("127.0.0.1:1", timeout=0.2)
    assert await asyncio.to_thread(until, lambda: ingest.away)
    async with _door(connector, ingest) as client:
        answer = await client.post("/$process-message", content=_half_a_body(), headers=REQUEST)
    assert answer.status_code == 503
    ingest.close()
