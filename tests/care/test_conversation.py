"""A hospital refers, adult social care answers, and the answer is there under the same conversation id."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from connectors.care_messages.samples import COUNCIL, DESK, HOSPITAL, WARD, Conversation
from connectors.care_referrals.connector import BarsMessages, BarsPartner
from connectors.care_referrals.simulator import CareSimulator, Sent
from connectors.nhs_mesh.connector import MeshLetters, MeshPartner
from connectors.nhs_mesh.simulator import OURS, MeshSimulator
from hub.sdk import Event
from hub.sdk.clock import SteppedClock
from hub.sdk.hl7 import Message
from tests.care.conftest import event_of, made


@pytest.fixture(scope="module")
def council() -> Iterator[CareSimulator]:
    simulator = CareSimulator(SteppedClock(), seed=7)
    with simulator.running():
        yield simulator


@pytest.fixture(scope="module")
def hospital() -> Iterator[CareSimulator]:
    simulator = CareSimulator(SteppedClock(), seed=8)
    with simulator.running():
        yield simulator


@pytest.fixture
def mesh() -> Iterator[MeshSimulator]:
    simulator = MeshSimulator(SteppedClock(), seed=9)
    with simulator.running():
        yield simulator


async def answered(council: CareSimulator, told: list[Event], accept: bool) -> Event:
    """The council's system is told of the events, and decides; gives its answer as an event."""
    sink = made(BarsPartner, council, "council", addresses=[COUNCIL, DESK])
    for event in told:
        await sink.deliver(event, event.envelope.id)
    await sink.close()
    (correlation_id,) = {
        request.headers["x-correlation-id"]
        for request in council.requests
        if "x-correlation-id" in request.headers
    }
    council.requests.clear()
    reply: Sent = council.decide(correlation_id, accept)
    return event_of(made(BarsMessages, council, "council"), reply.body, correlation_id)


@pytest.mark.parametrize(("accept", "status"), [(True, "planned"), (False, "cancelled")])
async def test_by_bars(hospital: CareSimulator, council: CareSimulator, accept: bool, status: str) -> None:
    talk = Conversation(hospital.clock.now())
    source = made(BarsMessages, hospital, "hospital")
    event = event_of(source, talk.bundle("request_new"), talk.correlation_id)
    answer = await answered(council, [event], accept)
    assert (event.data["recipient_party"], answer.data["recipient_party"]) == ("E08000025", "rxx")
    assert answer.envelope.subject == talk.correlation_id
    sink = made(BarsPartner, hospital, "hospital", addresses=[HOSPITAL])
    await sink.deliver(answer, answer.envelope.id)
    await sink.close()
    held = hospital.held[talk.correlation_id]
    assert held.status == status
    assert held.bundles[-1]["entry"][0]["resource"]["response"]["identifier"] == talk.bundle_id


async def test_by_hl7_in_the_mailbox(mesh: MeshSimulator, council: CareSimulator) -> None:
    talk = Conversation(mesh.clock.now(), correlation_id="77120/B")
    mesh.refer("ref_i12", 0, talk)
    source = made(MeshLetters, mesh, "ward")
    (message_id,) = (await source.waiting()).ids
    body = b"".join([piece async for piece in source.download(message_id)])
    answer = await answered(council, [event_of(source, body)], accept=True)
    sink = made(MeshPartner, mesh, "ward", addresses=[WARD])
    await sink.deliver(answer, answer.envelope.id)
    sent = next(one for one in mesh.messages.values() if one.sender == OURS)
    told = Message.parse(sent.body)
    assert (told.get("MSH-9.1"), told.get("RF1-1"), told.get("RF1-6")) == ("RRI", "A", "77120/B")
    asked = Message.parse(body)
    assert told.get("MSA-2") == asked.get("MSH-10")
    swapped = [asked.get(f"MSH-{place}") for place in (5, 6, 3, 4)]
    assert [told.get(f"MSH-{place}") for place in (3, 4, 5, 6)] == swapped
    await sink.close()
    await source.close()


ORDERS: list[Callable[[list[Event]], list[Event]]] = [
    lambda events: events,
    lambda events: [events[0], events[2], events[1]],
    lambda events: [events[2], events[1], events[0]],
    lambda events: [events[1], events[2], events[0]],
]


@pytest.mark.parametrize("order", ORDERS, ids=["as sent", "cancelled first", "backwards", "update first"])
async def test_whatever_overtakes_what_the_referral_ends_withdrawn(
    hospital: CareSimulator, council: CareSimulator, order: Callable[[list[Event]], list[Event]]
) -> None:
    talk = Conversation(hospital.clock.now())
    source = made(BarsMessages, hospital, "hospital")
    events = [
        event_of(source, talk.bundle(fixture, after_s), talk.correlation_id)
        for fixture, after_s in (("request_new", 0), ("request_update", 60), ("request_cancel", 90))
    ]
    sink = made(BarsPartner, council, "council", addresses=[COUNCIL])
    for event in order(events):
        await sink.deliver(event, event.envelope.id)
    await sink.close()
    council.requests.clear()
    assert council.held[talk.correlation_id].status == "revoked"
