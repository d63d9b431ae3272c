"""On a real Kafka: a letter is landed once and acknowledged only then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from connectors.care_messages.samples import Conversation
from connectors.nhs_mesh.connector import MeshLetters
from connectors.nhs_mesh.simulator import MeshSimulator
from hub.sdk import Instance, Reject, Retry
from hub.sdk.clock import Clock
from hub.sdk.errors import HubError
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


class Refusing(MeshLetters):
    """MESH answers the acknowledgement of one message as it should not."""

    refused: str = ""
    error: HubError

    async def acknowledge(self, message_id: str) -> None:
        if message_id == self.refused:
            raise self.error
        await super().acknowledge(message_id)


@pytest.mark.parametrize("error", [Retry("MESH answered 500"), Reject("MESH answered 417")])
async def test_a_message_that_cannot_be_acknowledged_is_told_and_holds_up_no_other(
    kafka: str, tmp_path: Path, error: HubError
) -> None:
    instance, simulator = new_instance(kafka), MeshSimulator(Clock())
    talks = [Conversation(simulator.clock.now()) for _ in range(4)]
    async with simulator.serve():
        source = _source(simulator, instance, Refusing)
        posted = [simulator.refer("request_new", 0, talk) for talk in talks[:2]]
        source.refused, source.error = posted[0].message_id, error
        async with at_work(kafka, Borrowed(kafka), source, tmp_path) as instances:
            health = instances.health[source.key]
            await until(lambda: health.error == error.reason)
            posted += [simulator.refer("request_new", 0, talk) for talk in talks[2:]]
            await until(lambda: all(one.status == "acknowledged" for one in posted[1:]))
            assert posted[0].status == "accepted"
            source.refused = ""
            await until(lambda: posted[0].status == "acknowledged" and not health.error)
    assert [key for key, _, _ in landed(kafka, instance)] == [talk.bundle_id for talk in talks]
