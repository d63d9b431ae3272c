"""The read API answers as Confluent's registry does, errors included."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from hub.registry import api
from hub.registry.asgi import routes
from hub.registry.schemas import Registry, Schema

SUBJECT = "uk.hub.payments.PaymentCaptured"


@pytest.fixture
def client(registry: Registry) -> TestClient:
    return TestClient(Starlette(routes=list(routes(registry))))


def test_a_schema_is_found_by_its_id(client: TestClient, captured: Schema) -> None:
    reply = client.get(f"/schemas/ids/{captured.id}", params={"subject": "inbox.E08000025-value"})
    assert reply.headers["content-type"] == "application/vnd.schemaregistry.v1+json"
    assert reply.json() == {"schema": captured.text}
    assert client.get(f"/schemas/ids/{captured.id}/schema").json() == captured.definition
    assert client.get(f"/schemas/ids/{captured.id}/subjects").json() == [SUBJECT]
    assert client.get(f"/schemas/ids/{captured.id}/versions").json() == [{"subject": SUBJECT, "version": 1}]
    assert client.get("/schemas/types").json() == ["AVRO"]


def test_subjects_and_versions_are_listed(client: TestClient, captured: Schema) -> None:
    described = {"subject": SUBJECT, "version": 1, "id": captured.id, "schema": captured.text}
    assert SUBJECT in client.get("/subjects").json()
    assert client.get("/subjects?subjectPrefix=uk.hub.licensing.Fee").json() == ["uk.hub.licensing.FeePaid"]
    assert client.get(f"/subjects/{SUBJECT}/versions").json() == [1]
    for number in ("1", "latest", "-1"):
        assert client.get(f"/subjects/{SUBJECT}/versions/{number}").json() == described
    assert client.get(f"/subjects/{SUBJECT}/versions/1/schema").json() == captured.definition
    assert client.get(f"/subjects/{SUBJECT}/versions/1/referencedby").json() == []


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/schemas/ids/9999", 404, 40403),
        ("/schemas/ids/none", 404, 40403),
        ("/schemas/ids/9999/versions", 404, 40403),
        ("/subjects/nobody/versions", 404, 40401),
        ("/subjects/nobody/versions/latest", 404, 40401),
        (f"/subjects/{SUBJECT}/versions/5", 404, 40402),
        (f"/subjects/{SUBJECT}/versions/0", 422, 42202),
        (f"/subjects/{SUBJECT}/versions/first", 422, 42202),
        (f"/subjects/{SUBJECT}/versions/99999999999", 422, 42202),
        (f"/subjects/{SUBJECT}/versions/²", 422, 42202),
        (f"/config/{SUBJECT}", 404, 40408),
        (f"/mode/{SUBJECT}", 404, 40409),
        ("/config/nobody", 404, 40401),
    ],
)
def test_what_is_not_there_has_confluents_code(client: TestClient, path: str, status: int, code: int) -> None:
    reply = client.get(path)
    assert (reply.status_code, reply.json()["error_code"]) == (status, code)
    assert reply.json()["message"]


def test_a_schema_is_looked_up_whatever_its_layout(client: TestClient, captured: Schema) -> None:
    body = {"schema": json.dumps(captured.definition, indent=4), "schemaType": "AVRO"}
    assert client.post(f"/subjects/{SUBJECT}", json=body).json()["id"] == captured.id
    other = {"schema": json.dumps({**captured.definition, "doc": "Other."})}
    assert client.post(f"/subjects/{SUBJECT}", json=other).json()["error_code"] == 40403
    assert client.post("/subjects/nobody", json=body).json()["error_code"] == 40401


def test_compatibility_is_judged_on_request(client: TestClient, captured: Schema) -> None:
    def ask(definition: Any, version: str = "/latest") -> Any:
        path = f"/compatibility/subjects/{SUBJECT}/versions{version}"
        return client.post(f"{path}?verbose=true", json={"schema": json.dumps(definition)}).json()

    new = {"name": "branch", "type": "string"}
    broken = {**captured.definition, "fields": [*captured.definition["fields"], new]}
    assert ask(captured.definition) == {"is_compatible": True, "messages": []}
    for version in ("", "/1", "/latest"):
        answer = ask(broken, version)
        assert not answer["is_compatible"]
        assert "field branch" in answer["messages"][0]
    assert ask({"type": "record", "name": "x"})["error_code"] == 42201


async def test_one_judgement_is_made_at_a_time_however_many_are_asked_for(
    root: Path, captured: Schema
) -> None:
    meeting, met = threading.Barrier(2), []

    class Watched(Registry):
        def versions(self, subject: str) -> list[Schema]:
            with suppress(threading.BrokenBarrierError):  # alone
                meeting.wait(0.5)
                met.append(subject)
            return super().versions(subject)

    app = Starlette(routes=list(routes(Watched.load(root / "schemas"))))
    async with httpx2.AsyncClient(base_url="http://hub", transport=httpx2.ASGITransport(app)) as client:
        path, body = f"/compatibility/subjects/{SUBJECT}/versions", {"schema": captured.text}
        replies = await asyncio.gather(*(client.post(path, json=body) for _ in range(8)))
    assert [reply.json() for reply in replies] == [{"is_compatible": True}] * 8
    assert not met


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"schema": "not json"}', b'{"schema": 5}', b'{"schema": "\\"string\\""}',
     b'{"schema": "{}", "schemaType": "PROTOBUF"}', b"\xff\xfe", b"[" * 100_000,
     json.dumps({"schema": '{"type":"record","name":"a","fields":' + "[" * 50_000}).encode(),
     json.dumps({"schema": '{"type":"record","name":"a","fields":[{"name":5}]}'}).encode(),
     json.dumps({"schema": '{"type":"record","name":{},"fields":"a"}'}).encode()],
)  # fmt: skip
def test_a_body_that_is_no_schema_is_refused(client: TestClient, body: bytes) -> None:
    reply = client.post(f"/compatibility/subjects/{SUBJECT}/versions/latest", content=body)
    assert (reply.status_code, reply.json()["error_code"]) == (422, 42201)


def test_a_schema_of_deep_nesting_is_refused_and_the_registry_goes_on(client: TestClient) -> None:
    deep: Any = "string"
    for _ in range(800):
        deep = {"type": "array", "items": deep}
    definition = {"type": "record", "name": "A", "fields": [{"name": "a", "type": deep}]}
    body = {"schema": json.dumps(definition)}
    reply = client.post(f"/compatibility/subjects/{SUBJECT}/versions/latest", json=body)
    assert reply.status_code in (200, 422)
    assert client.get("/subjects").status_code == 200


def test_a_body_over_the_limit_is_refused(client: TestClient) -> None:
    for path in (f"/subjects/{SUBJECT}", f"/compatibility/subjects/{SUBJECT}/versions/1"):
        reply = client.post(path, content=b"x" * (api.MAX_BODY + 1))
        assert (reply.status_code, reply.json()["error_code"]) == (422, 42209)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/subjects/{SUBJECT}/versions"),
        ("DELETE", f"/subjects/{SUBJECT}"),
        ("DELETE", f"/subjects/{SUBJECT}/versions/1"),
        ("PUT", "/config"),
        ("DELETE", f"/config/{SUBJECT}"),
        ("PUT", f"/mode/{SUBJECT}"),
    ],
)
def test_nothing_can_be_changed_by_request(client: TestClient, method: str, path: str) -> None:
    reply = client.request(method, path, content=b'{"schema": "{}"}')
    assert (reply.status_code, reply.json()["error_code"]) == (422, 42205)
    assert "read-only" in reply.json()["message"]


def test_level_and_mode_are_told(client: TestClient) -> None:
    assert client.get("/config").json() == {"compatibilityLevel": "BACKWARD_TRANSITIVE"}
    assert client.get(f"/config/{SUBJECT}?defaultToGlobal=true").json() == client.get("/config").json()
    assert client.get("/mode").json() == {"mode": "READONLY"}
    assert client.get(f"/mode/{SUBJECT}?defaultToGlobal=true").json() == {"mode": "READONLY"}
