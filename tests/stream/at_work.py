"""Works of instances on a real Kafka, held by a real member of a group, without a whole worker around them."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)
from kafka.admin import KafkaAdminClient
from kafka.protocol.admin import AlterClientQuotasRequest

from hub.config import HubConfig
from hub.events.generated.payments import PaymentCreated
from hub.sdk import FileSettings, Instance, Record
from hub.sdk.connector import Source
from hub.sdk.fleet import Fleet, Member
from hub.stream import topics
from hub.stream.conditions import Conditions, Oversight
from hub.stream.controls import Controls
from hub.stream.instances import Instances
from hub.stream.pulling import works
from hub.stream.raw import attributes_of
from hub.stream.reading import read_all
from hub.stream.records import Fence, Output, Positions
from hub.stream.transactions import Transactor

PARTITIONS = HubConfig().kafka.partitions  # as every topic of the hub on the Kafka that all tests share


class Row(Record):
    """A row of a made-up register."""

    licence: str
    holder: str


class Folder(FileSettings):
    """The settings of a file drop in a folder."""


def make_topics(kafka: str, **partitions: int) -> None:
    """Those that are not there yet."""
    client = AdminClient({"bootstrap.servers": kafka})
    known = client.list_topics(timeout=30).topics
    asked = [NewTopic(name, count, 1) for name, count in partitions.items() if name not in known]
    for future in client.create_topics(asked).values() if asked else ():
        future.result(30)


def alter(
    kafka: str, name: str, settings: Mapping[str, str], kind: ResourceType = ResourceType.TOPIC
) -> None:
    """Change settings of a topic, or of a broker, as an operator does; all others stay as they are."""
    entries = [
        ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
        for setting, value in settings.items()
    ]
    resource = ConfigResource(kind, name, incremental_configs=entries)
    client = AdminClient({"bootstrap.servers": kafka})
    client.incremental_alter_configs([resource])[resource].result(30)


def limit(kafka: str, client_id: str, bytes_a_second: float) -> None:
    """Give a client of that id a quota for what it writes."""
    entry = AlterClientQuotasRequest.EntryData
    client = entry.EntityData(entity_type="client-id", entity_name=client_id)
    quota = entry.OpData(key="producer_byte_rate", value=bytes_a_second, remove=False)
    request = AlterClientQuotasRequest(
        entries=[entry(entity=[client], ops=[quota])], validate_only=False, max_version=1
    )
    with closing(KafkaAdminClient(bootstrap_servers=kafka)) as admin:
        answer = admin._net.run(admin._manager.send, request)
    assert [one.error_code for one in answer.entries] == [0]


class Borrowed:
    """A member of a group of its own on `hub.connectors`: whoever has it holds all partitions."""

    def __init__(self, kafka: str) -> None:
        self.group = f"g-{uuid.uuid4().hex[:8]}"
        self._kafka = kafka
        make_topics(kafka, **{topics.CONNECTORS: PARTITIONS, topics.REGISTERS: PARTITIONS})
        self.consumer = self._join()

    def _join(self) -> Consumer:
        settings = {"bootstrap.servers": self._kafka, "group.id": self.group, "enable.auto.commit": False}
        # Nobody polls while a test has it, and however long that takes it is not to leave its group.
        settings |= {"session.timeout.ms": 30_000, "max.poll.interval.ms": 86_400_000}
        consumer = Consumer(settings)
        consumer.subscribe([topics.CONNECTORS])
        while len(consumer.assignment()) < PARTITIONS:
            consumer.poll(0.1)
        return consumer

    def taken_over(self) -> None:
        """Another member takes its place: the old generation is fenced off."""
        self.consumer.close()
        self.consumer = self._join()

    def membership(self) -> tuple[Fence, Positions]:
        """As a worker's transport gives it."""
        raw = self.consumer.consumer_group_metadata()
        generation = int.from_bytes(raw[7:11], "little", signed=True)
        member = raw[11:].split(b"\0", 2)[1].decode()
        return Fence(self.group, generation, member), {(topics.CONNECTORS, p): 0 for p in range(PARTITIONS)}


@asynccontextmanager
async def at_work(
    kafka: str, borrowed: Borrowed, source: Source[Any, Any], folder: Path, controls: Controls | None = None
) -> AsyncIterator[Instances]:
    """A source at work for the length of the block, ended without a word to anybody, as by a kill."""
    member = Member(source.instance, (source,))
    made = works(Fleet({source.instance.name: member}), kafka, PARTITIONS, folder)
    transactor = Transactor(kafka, f"t-{uuid.uuid4().hex[:8]}")
    fence = borrowed.membership()
    oversight = Oversight(controls or Controls(), Conditions(_untold))
    instances = Instances(made, PARTITIONS, transactor, lambda: fence, oversight)
    await instances.assigned(range(PARTITIONS))
    try:
        yield instances
    finally:
        await instances.close()


async def _untold(_: Output) -> None:
    """How a source gets on is nobody's business here."""


def new_instance(kafka: str) -> Instance:
    """Of a connector of its own, so that tests do not see each other's records."""
    name = f"c{uuid.uuid4().hex[:8]}"
    make_topics(kafka, **{topics.raw(name): 1})
    return Instance(f"{name}-one", name, "E08000025", poll_every_s=0.05)


def landed(kafka: str, instance: Instance) -> list[tuple[str, Any, Mapping[str, str]]]:
    """Key, JSON (or bytes where it is none) and attributes of each raw record."""
    found = []
    for message in read_all(kafka, topics.raw(instance.connector), 0):
        try:
            value: Any = json.loads(message.value())
        except ValueError:
            value = message.value()
        found.append((message.key().decode(), value, attributes_of(message.headers())))
    return found


EMITS = (PaymentCreated,)
