"""A hospital refers, adult social care answers: by BaRS, MESH and MLLP on a running hub, whatever overtakes or dies."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.care_messages.bundles import correlation
from connectors.care_messages.samples import COUNCIL, DESK, HOSPITAL, SERVICE_IDS, WARD, Conversation
from connectors.care_referrals.simulator import CareSimulator
from connectors.nhs_mesh.simulator import MeshSimulator
from hub.gateway.client import ClientError
from hub.sdk import Clock
from hub.sdk.hl7 import Message
from hub.sdk.mllp_simulator import send
from hub.stream.broker.ports import free_port
from hub.testing.journeys.base import Player
from hub.testing.journeys.care_referrals import CareReferrals, answers_by_mesh, held
from hub.testing.live import LiveHub, as_instance, live_hub, until

ST_EBBA, BIRMINGHAM = "st-ebba", "E08000025"
THEATRE = "hl7:THEATRE|ST%20EBBA"


@dataclass
class Care:
    """A hub between a hospital's three systems and a council's adult social care."""

    hub: LiveHub
    hospital: CareSimulator
    ward: MeshSimulator
    theatre: CareSimulator
    council: CareSimulator
    theatre_port: int

    def aim(self) -> None:
        """All who call the hub learn where it is."""
        self.hospital.webhook_url = f"{self.hub.gateway}/webhooks/hospital"
        self.council.webhook_url = f"{self.hub.gateway}/webhooks/council"


@pytest.fixture(scope="module")
def care(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[Care]:
    folder = tmp_path_factory.mktemp("care")
    fast = Clock(speed=100)
    hospital, council = CareSimulator(fast, seed=1), CareSimulator(fast, seed=2)
    ward, theatre = MeshSimulator(seed=3), CareSimulator(seed=4)
    port = free_port()
    with hospital.running(), ward.running(), theatre.running(), council.running():
        to_council = {COUNCIL: BIRMINGHAM, DESK: BIRMINGHAM}
        to_hospital = dict.fromkeys((HOSPITAL, WARD, THEATRE), ST_EBBA)
        sides = {
            "hospital": (ST_EBBA, hospital, {"speaks": ["bars"], "addresses": [HOSPITAL]}),
            "ward": (ST_EBBA, ward, {"addresses": [WARD]}),
            "theatre": (ST_EBBA, theatre, {"speaks": ["mllp"], "addresses": [THEATRE], "listen_port": port}),
            "council": (
                BIRMINGHAM,
                council,
                {
                    "speaks": ["bars"],
                    "addresses": [COUNCIL, DESK],
                    "service_ids": SERVICE_IDS | {THEATRE: "2000000404"},
                },
            ),
        }
        instances = {}
        for name, (party, simulator, more) in sides.items():
            partners = to_council if party == ST_EBBA else to_hospital
            instances |= as_instance(folder, name, party, simulator, partners=partners, **more)
        parties = {party: {"name": party} for party in (ST_EBBA, BIRMINGHAM, "E09000033")}
        kafka = os.environ.get("HUB_TEST_KAFKA", "embedded")
        with live_hub(folder, root, kafka, parties=parties, more_instances=instances) as hub:
            made = Care(hub, hospital, ward, theatre, council, port)
            made.aim()
            yield made


@pytest.fixture(autouse=True)
def _good_day(care: Care) -> Iterator[None]:
    yield
    for simulator in (care.hospital, care.ward, care.theatre, care.council):
        simulator.have("a good day")


@pytest.mark.parametrize(("accept", "status"), [(True, "planned"), (False, "cancelled")])
def test_a_hospital_hears_by_bars_what_social_care_decided(care: Care, accept: bool, status: str) -> None:
    talk = care.hospital.refer()
    assert until(lambda: held(care.council, talk.correlation_id) == "active")
    care.council.decide(talk.correlation_id, accept)
    answer = lambda: care.hospital.held.get(talk.correlation_id)  # noqa: E731
    assert until(lambda: answer() is not None)
    assert answer().status == status
    (bundle,) = answer().bundles
    assert bundle["entry"][0]["resource"]["response"]["identifier"] == talk.bundle_id
    assert until(lambda: asked_and_answered(care.hub, talk.correlation_id) == 2)


def asked_and_answered(hub: LiveHub, conversation_id: str) -> int:
    """How many messages one search for a conversation shows; none while the journal knows none."""
    with suppress(ClientError):
        return len(hub.client.get(f"/v1/cases/{conversation_id}")["roots"])
    return 0


def test_a_ward_without_an_api_hears_by_mesh_in_its_own_language_under_its_own_number(care: Care) -> None:
    talk = Conversation(care.ward.clock.now(), correlation_id="77120/B")
    before = len(answers_by_mesh(care.ward))
    asked = care.ward.refer("ref_i12", 0, talk)
    council_id = correlation("77120/B")
    assert until(lambda: held(care.council, council_id) == "active")
    assert until(lambda: asked.status == "acknowledged")
    care.council.decide(council_id)
    assert until(lambda: len(answers_by_mesh(care.ward)) > before)
    (told,) = answers_by_mesh(care.ward)[before:]
    assert [told.get(place) for place in ("MSH-9.1", "RF1-1", "RF1-6")] == ["RRI", "A", "77120/B"]
    assert told.get("MSA-2") == Message.parse(asked.body).get("MSH-10")


def test_a_theatre_system_hears_by_mllp_after_its_referral_was_acknowledged(care: Care) -> None:
    talk = Conversation(care.theatre.clock.now())
    before = len(care.theatre.taken)
    message = talk.hl7("ref_i12").replace(b"WARDDESK", b"THEATRE")
    (acknowledged,) = asyncio.run(send("127.0.0.1", care.theatre_port, [message]))
    assert acknowledged.get("MSA-1") == "CA"  # kept safe: its MSH-15 asks for that word
    assert until(lambda: held(care.council, talk.correlation_id) == "active")
    care.council.decide(talk.correlation_id, accept=False)
    assert until(lambda: len(care.theatre.taken) > before)
    (told,) = map(Message.parse, care.theatre.taken[before:])
    assert [told.get(place) for place in ("MSH-9.1", "RF1-1", "RF1-6")] == ["RRI", "R", talk.correlation_id]


def test_each_referral_ends_as_was_meant_though_its_messages_overtake_each_other(care: Care) -> None:
    players = [
        Player("hospital", ST_EBBA, care.hospital),
        Player("ward", ST_EBBA, care.ward),
        Player("council", BIRMINGHAM, care.council),
    ]
    report = CareReferrals(players).play(care.hub)
    assert report.right, report
    assert all(set(sent.answers) <= {200, 409} and 200 in sent.answers for sent in care.hospital.sent)


def test_answers_lost_and_a_hub_that_is_killed_lead_to_no_second_letter_and_no_missing_one(
    care: Care,
) -> None:
    before = len(answers_by_mesh(care.ward))
    talks = [Conversation(care.ward.clock.now(), correlation_id=f"KILLED/{n}") for n in range(5)]
    for talk in talks:
        care.ward.refer("ref_i12", 0, talk)
    assert until(
        lambda: all(held(care.council, correlation(talk.correlation_id)) == "active" for talk in talks)
    )
    care.ward.have("some answers lost")
    for talk in talks:
        care.council.decide(correlation(talk.correlation_id))
    assert until(lambda: len(answers_by_mesh(care.ward)) > before)
    care.hub.kill()
    care.hub.start()
    care.aim()
    care.ward.have("a good day")
    answered = lambda: Counter(told.get("RF1-6") for told in answers_by_mesh(care.ward)[before:])  # noqa: E731
    assert until(lambda: len(answered()) == 5, 60)
    assert answered() == Counter(talk.correlation_id for talk in talks)
