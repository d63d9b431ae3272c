"""Confluent's own Python client reads our bytes with nothing but the address of our registry."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from hub.events.model import from_micros
from hub.registry.asgi import routes
from hub.registry.codec import decode, encode
from hub.registry.schemas import Registry, Schema

client_library = pytest.importorskip(
    "confluent_kafka.schema_registry", reason="Confluent's client needs authlib, cachetools, attrs and httpx2"
)


@pytest.fixture(scope="module")
def address(registry: Registry) -> Iterator[str]:
    """A real server on a free port, the registry mounted below a prefix as the gateway does."""
    app = Starlette(routes=[Mount("/registry", routes=list(routes(registry)))])
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert server.started
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/registry"
    server.should_exit = True
    thread.join(10)
    listener.close()


@pytest.fixture
def confluent(address: str) -> Any:
    return client_library.SchemaRegistryClient({"url": address})


def context() -> Any:
    from confluent_kafka.serialization import MessageField, SerializationContext

    return SerializationContext("inbox.E08000025", MessageField.VALUE)


def test_confluents_deserialiser_reads_an_inbox_value(
    confluent: Any, captured: Schema, payment: dict[str, Any]
) -> None:
    from confluent_kafka.schema_registry.avro import AvroDeserializer

    read = AvroDeserializer(confluent)(encode(captured, payment), context())
    assert isinstance(read["created_at"], datetime)
    assert read == {**payment, "created_at": from_micros(payment["created_at"])}


def test_confluents_serialiser_writes_what_we_read(
    confluent: Any, registry: Registry, captured: Schema, payment: dict[str, Any]
) -> None:
    from confluent_kafka.schema_registry import record_subject_name_strategy
    from confluent_kafka.schema_registry.avro import AvroSerializer

    settings = {"auto.register.schemas": False, "subject.name.strategy": record_subject_name_strategy}
    write = AvroSerializer(confluent, captured.text, conf=settings)
    value = write({**payment, "created_at": from_micros(payment["created_at"])}, context())
    assert value == encode(captured, payment)
    assert decode(value, registry) == (captured, payment)


def test_confluents_client_finds_its_way(confluent: Any, captured: Schema, registry: Registry) -> None:
    assert confluent.get_subjects() == registry.subjects()
    assert confluent.get_versions(captured.subject) == [1]
    assert confluent.get_latest_version(captured.subject).schema_id == captured.id
    assert confluent.get_schema(captured.id).schema_str == captured.text
    ours = client_library.Schema(captured.text, "AVRO")
    assert confluent.lookup_schema(captured.subject, ours).version == 1
    assert confluent.test_compatibility(captured.subject, ours) is True
    assert confluent.get_compatibility() == "BACKWARD_TRANSITIVE"


def test_confluents_client_understands_a_refusal(confluent: Any, captured: Schema) -> None:
    from confluent_kafka.schema_registry.error import SchemaRegistryError

    with pytest.raises(SchemaRegistryError) as missing:
        confluent.get_latest_version("nobody")
    assert (missing.value.http_status_code, missing.value.error_code) == (404, 40401)
    with pytest.raises(SchemaRegistryError) as refused:
        confluent.register_schema("mine", client_library.Schema(captured.text, "AVRO"))
    assert (refused.value.http_status_code, refused.value.error_code) == (422, 42205)
