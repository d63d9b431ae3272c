"""On a real Kafka: a letter is landed once and acknowledged only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connectors.care_messages.samples import Conversation
from connectors.nhs_mesh.connector import MeshLetters
from connectors.nhs_mesh.simulator import MeshSimulator
from hub.sdk import Instance, Retry
from hub.sdk.clock import Clock
from tests.stream.at_work import Borrowed, at_work, landed, new_instance
from tests.stream.copying import until


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
