"""On a real Kafka: a letter is landed once and acknowledged only then; a message sent twice is told for one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.routing import Route

from connectors.care_messages.samples import Conversation
from connectors.care_referrals.connector import BarsMessages
from connectors.care_referrals.simulator import CareSimulator
from connectors.nhs_mesh.connector import MeshLetters
from connectors.nhs_mesh.simulator import MeshSimulator
from hub.gateway.webhooks import METHODS, Webhooks
from hub.sdk import Instance, Retry
from hub.sdk.clock import Clock
from hub.sdk.fleet import Fleet, Member
from hub.sdk.serving import serving
from hub.stream.ingest import Ingest
from hub.stream.raw import attributes_of
from hub.stream.reading import read_all
from hub.stream.topics import raw
from tests.care.conftest import made
from tests.stream.at_work import Borrowed, at_work, landed, make_topics, new_instance, until


def _source(simulator: MeshSimulator, instance: Instance, cls: type[MeshLetters] = MeshLetters) -> Any:
    config = cls.config_model(_env_prefix="HUB_TEST_", **simulator.config())
    return cls(instance, config, simulator.clock)


class Dying(MeshLetters):
    """Never gets to acknowledge, as a worker that dies between the commit and the word to MESH."""

    async def acknowledge(self, message_id: str) -> None:
        raise Retry("killed")


async def test_letters_are_landed_once_though_a_worker_dies_before_it_can_acknowledge(
    kafka: str, tmp_path: Path
) -> None:
    instance, simulator = new_instance(kafka), MeshSimulator(Clock())
    first, second = Conversation(simulator.clock.now()), Conversation(simulator.clock.now())
    async with simulator.serve():
        posted = [simulator.refer("request_new", 0, first), simulator.refer("ref_i12", 0, second)]
        borrowed = Borrowed(kafka)
        async with at_work(kafka, borrowed, _source(simulator, instance, Dying), tmp_path):
            await until(lambda: len(landed(kafka, instance)) >= 1)
            assert [one.status for one in posted] == ["accepted"] * 2
        borrowed.taken_over()
        async with at_work(kafka, borrowed, _source(simulator, instance), tmp_path):
            await until(lambda: all(one.status == "acknowledged" for one in posted))
            rounds = len(simulator.requests)
            await until(lambda: sum(r.path.endswith("/inbox") for r in simulator.requests[rounds:]) >= 2)
    found = landed(kafka, instance)
    assert sorted(key for key, _, _ in found) == sorted([first.bundle_id, second.correlation_id])
    source = _source(simulator, instance)
    for key, value, attributes in found:
        body = value if isinstance(value, bytes) else first.bundle("request_new")
        assert source.translate(body, attributes)[0].subject == key


async def test_a_hospital_that_sends_twice_hears_of_the_duplicate_and_all_is_kept_under_its_conversation(
    kafka: str, tmp_path: Path
) -> None:
    instance = new_instance(kafka)
    make_topics(kafka, **{"hub.journal": 4})
    simulator = CareSimulator(Clock(speed=100), seed=3)
    source = made(BarsMessages, simulator)
    source.instance = instance
    ingest = Ingest(kafka)
    door = Webhooks(Fleet({"hospital": Member(instance, (source,))}), ingest, max_body_bytes=1 << 20)
    path = "/webhooks/{instance}/{path:path}"
    app = Starlette(routes=[Route(path, door.receive, methods=METHODS)])
    async with serving(app) as url, simulator.serve():
        simulator.webhook_url = f"{url}/webhooks/hospital"
        simulator.have("messages twice")
        talk = simulator.refer()
        simulator.say(talk, "request_update", 60)
        await until(lambda: all(len(sent.answers) == 2 for sent in simulator.sent))
    ingest.close()
    assert [sorted(sent.answers) for sent in simulator.sent] == [[200, 409]] * 2
    records = list(read_all(kafka, raw(instance.connector), 0))
    assert {record.key().decode() for record in records} == {talk.bundle_id}
    keys = set()
    for record in records:
        (fact,) = source.translate(record.value(), attributes_of(record.headers()))
        assert fact.subject == talk.correlation_id
        keys.add((fact.data.type, fact.key))
    assert len(records) == 4 and len(keys) == 2, "four reports of two facts"
