"""A hospital refers, by FHIR and by HL7 over MESH; adult social care decides, and the answer finds the same case."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime

from connectors.care_messages.bundles import correlation
from connectors.care_messages.samples import Conversation
from connectors.care_referrals.simulator import CareSimulator
from connectors.nhs_mesh.simulator import OURS, MeshSimulator
from hub.delivery.receiver import Receiver
from hub.sdk.hl7 import Message
from hub.sdk.simulator import LOST
from hub.testing.journeys.base import Journey, Key, Played, RunningHub, until

REQUESTED, UPDATED, CANCELLED, ACCEPTED, REJECTED = (
    f"care.referral.{verb}" for verb in ("requested", "updated", "cancelled", "accepted", "rejected")
)
_HOSPITAL, _WARD, _SOCIAL_CARE = "hospital's system", "ward's mailbox", "social care's system"

#: Referrals by each way that are answered, every other one with a no; and those whose messages overtake each other.
ANSWERED, OVERTAKEN = 4, 10


class CareReferrals(Journey):
    """Messages come twice and overtake each other, answers of MESH are lost; each referral ends as was meant."""

    name = "care referrals"
    needs = (CareSimulator, CareSimulator, MeshSimulator)

    def perform(self, hub: RunningHub, timeout: float) -> Played:
        """See the class."""
        stage = _Stage(self)
        types = ["care.referral.*"]
        with (
            hub.subscriber(stage.council_party, types=types) as social_care,
            hub.subscriber(stage.hospital_party, types=types) as hospital,
        ):
            stage.refer()
            stage.refer_and_change()
            self.say(f"{2 * ANSWERED} referrals, by BaRS and by MESH; {OVERTAKEN} more, overtaken by changes")
            until(lambda: all(held(stage.council, one) == "active" for one in stage.decisions), timeout)
            asked, stage.ward.faults = len(stage.ward.requests), {LOST: 0.4}
            stage.decide()
            self.say("adult social care has decided; MESH loses answers")
            until(lambda: any(one.fault and one.method == "POST" for one in stage.ward.requests[asked:]), 5)
            stage.ward.have("a good day")

            def heard() -> list[Key]:
                return [*stage.heard(), *_told(social_care, hospital, stage)]

            until(lambda: stage.expected <= set(heard()), timeout)
            # What was overtaken may still be on its way, and must not change how things ended.
            until(lambda: stage.all_handed_over(hub), timeout)
            return Played(stage.expected, heard(), {"referrals": 2 * ANSWERED + OVERTAKEN})


class _Stage:
    """Who plays, what they said, and what must come of it."""

    def __init__(self, journey: Journey) -> None:
        ((self.hospital_party, self.ward),) = journey.of(MeshSimulator).items()
        sides = journey.of(CareSimulator)
        self.hospital = sides.pop(self.hospital_party)
        ((self.council_party, self.council),) = sides.items()
        (desk,) = (one.instance for one in journey.players if one.simulator is self.council)
        self._sink = f"sink/{desk}/bars-partner"
        self._numbers: dict[str, str] = {}
        self._begun: dict[str, datetime] = {}
        self._owed: dict[str, int] = {}
        self._posted = set(self.ward.messages)
        self.decisions: dict[str, bool] = {}
        self.expected: set[Key] = set()

    def refer(self) -> None:
        """Some by BaRS, and some by MESH, under numbers that the ward gives them."""
        token = secrets.token_hex(3)
        for number in range(ANSWERED):
            talk = self.hospital.refer()
            written = Conversation(self.ward.clock.now(), correlation_id=f"{token}/{number}")
            self.ward.refer("ref_i12", 0, written)
            self._numbers[correlation(written.correlation_id)] = written.correlation_id
            for one in (talk, written):
                conversation = self._begin(one, REQUESTED)
                self.decisions[conversation] = number % 2 == 0
                self._ends(conversation, "active", 0)

    def refer_and_change(self) -> None:
        """More by BaRS, each changed after a minute, every other one withdrawn half a minute later."""
        self.hospital.have("messages overtake")
        for number in range(OVERTAKEN):
            talk = self.hospital.refer()
            self.hospital.say(talk, "request_update", 60)
            if number % 2:
                self.hospital.say(talk, "request_cancel", 90)
                self._ends(self._begin(talk, REQUESTED, UPDATED, CANCELLED), "revoked", 90)
            else:
                self._ends(self._begin(talk, REQUESTED, UPDATED), "active", 60)
        self.hospital.have("a good day")

    def decide(self) -> None:
        """Adult social care accepts or rejects what it holds."""
        for conversation, accept in self.decisions.items():
            if held(self.council, conversation):
                self.council.decide(conversation, accept)
            self.expected.add((self.hospital_party, ACCEPTED if accept else REJECTED, conversation))
            if number := self._numbers.get(conversation):
                self.expected.add((_WARD, "RRI A" if accept else "RRI R", number))
            else:
                self.expected.add((_HOSPITAL, "planned" if accept else "cancelled", conversation))

    def heard(self) -> Iterable[Key]:
        """What the systems have: of each referral how it stands and since when, and every answer."""
        for conversation, begun in self._begun.items():
            if known := self.council.held.get(conversation):
                after = (datetime.fromisoformat(known.version) - begun).total_seconds()
                yield _SOCIAL_CARE, f"{known.status} as of +{round(after)} s", conversation
            if answer := self.hospital.held.get(conversation):
                for _ in answer.bundles:
                    yield _HOSPITAL, answer.status, conversation
        for told in answers_by_mesh(self.ward, self._posted):
            yield _WARD, f"{told.get('MSH-9.1')} {told.get('RF1-1')}", told.get("RF1-6")

    def all_handed_over(self, hub: RunningHub) -> bool:
        """Whether social care's system was given every message, those too that were void by then."""
        for conversation, messages in list(self._owed.items()):
            if sunk(hub, conversation, self._sink).count("delivered") < messages:
                return False
            del self._owed[conversation]
        return True

    def _begin(self, talk: Conversation, *types: str) -> str:
        conversation = correlation(talk.correlation_id)
        self._begun[conversation], self._owed[talk.correlation_id] = talk.begun, len(types)
        self.expected |= {(self.council_party, event_type, conversation) for event_type in types}
        return conversation

    def _ends(self, conversation: str, status: str, after_s: int) -> None:
        self.expected.add((_SOCIAL_CARE, f"{status} as of +{after_s} s", conversation))


def held(council: CareSimulator, correlation_id: str) -> str:
    """How a referral stands with the council's system; empty while it has none."""
    known = council.held.get(correlation_id)
    return known.status if known else ""


def answers_by_mesh(ward: MeshSimulator, but: Iterable[str] = ()) -> list[Message]:
    """What the hub left in the ward's mailbox, but for the messages of these ids."""
    ours = (one for one in list(ward.messages.values()) if one.message_id not in set(but))
    return [Message.parse(one.body) for one in ours if one.sender == OURS and one.status == "accepted"]


def sunk(hub: RunningHub, subject: str, sink: str) -> list[str]:
    """What became, at a sink, of each event about a subject that was routed to its party."""
    routed = [one["id"] for one in hub.client.get("/v1/events", subject=subject)["items"] if one["route"]]
    return [
        delivery["state"]
        for event_id in routed
        for delivery in hub.client.get(f"/v1/events/{event_id}")["deliveries"]
        if delivery["subscription"] == sink
    ]


def _told(social_care: Receiver, hospital: Receiver, stage: _Stage) -> list[Key]:
    return [
        (party, one.attributes["type"], correlation(one.attributes["subject"]))
        for party, receiver in ((stage.council_party, social_care), (stage.hospital_party, hospital))
        for one in list(receiver.received)
    ]
