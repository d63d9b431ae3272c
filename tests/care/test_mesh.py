"""The MESH mailbox: nothing is sent twice, nothing is acknowledged too early, and what is not collected is told."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from pydantic import SecretStr, ValidationError

from connectors.care_messages.samples import DESK, WARD, Conversation
from connectors.nhs_mesh.connector import MeshLetters, MeshPartner
from connectors.nhs_mesh.mailbox import MeshMailbox, codes
from connectors.nhs_mesh.simulator import OURS, THEIRS, MeshSimulator
from hub.events.generated.care import ReferralRequested, ReferralUndelivered
from hub.sdk import Event, Http, MeshToken, Reject, Retry, Stop
from hub.sdk.clock import SteppedClock
from hub.sdk.facts import to_event
from tests.care.conftest import event_of, made


@pytest.fixture(scope="module")
def served() -> Iterator[MeshSimulator]:
    simulator = MeshSimulator(SteppedClock(), seed=7)
    with simulator.running():
        yield simulator


@pytest.fixture
def mesh(served: MeshSimulator) -> Iterator[MeshSimulator]:
    yield served
    served.have("a good day")
    served.requests.clear()
    served.messages.clear()


def letter_event(mesh: MeshSimulator, fixture: str = "request_new") -> Event:
    talk = Conversation(mesh.clock.now())
    body = talk.hl7(fixture) if fixture.startswith(("ref", "rri")) else talk.bundle(fixture)
    return event_of(made(MeshLetters, mesh, "sender"), body)


async def fetched(source: MeshLetters, message_id: str) -> bytes:
    return b"".join([piece async for piece in source.download(message_id)])


def test_the_published_tokens_are_made_to_the_letter(samples: Path) -> None:
    from datetime import UTC, datetime

    for vector in json.loads((samples / "nhs_mesh/vectors/authorization.json").read_text()):
        when = datetime.strptime(vector["timestamp"], "%Y%m%d%H%M").replace(tzinfo=UTC).timestamp()
        token = MeshToken(
            vector["mailbox_id"].lower(),
            SecretStr(vector["password"]),
            SecretStr(vector["shared_key"]),
            now=lambda when=when: when,
        )
        assert token.token(vector["nonce"], vector["nonce_count"]) == vector["authorization"]


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("chunk_bytes", [0, 700])
async def test_what_the_partner_leaves_is_fetched_whole(
    mesh: MeshSimulator, compress: bool, chunk_bytes: int
) -> None:
    body = Conversation(mesh.clock.now()).bundle("request_new")
    posted = mesh.post(body, chunk_bytes, compress)
    source = made(MeshLetters, mesh)
    inbox = await source.waiting()
    assert list(inbox.ids) == [posted.message_id] and not inbox.full
    assert await fetched(source, posted.message_id) == body
    told = source.attributes_of(posted.message_id)
    assert (told["mex-messagetype"], told["mex-from"]) == ("DATA", THEIRS)
    assert posted.status == "accepted", "nothing is acknowledged by fetching"
    await source.acknowledge(posted.message_id)
    await source.acknowledge(posted.message_id)
    assert not (await source.waiting()).ids
    await source.close()


async def test_mesh_is_greeted_once_a_day_and_no_token_is_used_twice(mesh: MeshSimulator) -> None:
    source = made(MeshLetters, mesh)
    for _ in range(3):
        await source.waiting()
    greetings = [one for one in mesh.requests if one.method == "POST"]
    assert len(greetings) == 1
    tokens = [one.headers["authorization"] for one in mesh.requests]
    assert len(set(tokens)) == len(tokens) == 4
    await source.close()


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("client_key", {"client_certificate": Path("mesh.crt")}),
        ("client_key", {"client_key": Path("mesh.key")}),
        # What hangs must have failed before the round of which it is a part is given up.
        ("timeout_seconds", {"timeout_seconds": MeshLetters.patience.total_seconds()}),
    ],
)
def test_settings_that_would_be_of_no_effect_are_refused_by_name(
    mesh: MeshSimulator, field: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(ValidationError) as caught:
        made(MeshLetters, mesh, **settings)
    assert [fault["loc"] for fault in caught.value.errors()] == [(field,)]


async def test_a_full_inbox_is_asked_again_and_other_workflows_are_left_alone(mesh: MeshSimulator) -> None:
    for _ in range(501):
        mesh.post(b"x")
    mesh.post(b"x", **{"mex-workflowid": "PATHOLOGY"})
    source = made(MeshLetters, mesh)
    inbox = await source.waiting()
    assert len(inbox.ids) == 500 and inbox.full
    for posted in list(mesh.messages.values())[:500]:
        posted.status = "acknowledged"
    inbox = await source.waiting()
    assert len(inbox.ids) == 1 and not inbox.full
    await source.close()


async def test_a_workflow_whose_name_begins_with_ours_is_left_alone(mesh: MeshSimulator) -> None:
    ours, theirs, reports = "TEST_WORKFLOW", "TEST_WORKFLOW2", []
    for workflow in (ours, theirs):
        sink, event = made(MeshPartner, mesh, workflow=workflow), letter_event(mesh)
        await sink.deliver(event, event.envelope.id)
        mesh.days_pass()
        reports.append(list(mesh.messages)[-1])
        await sink.close()
    letters = [mesh.post(b"x", **{"mex-workflowid": workflow}).message_id for workflow in (ours, theirs)]
    for workflow, report, letter in zip((ours, theirs), reports, letters, strict=True):
        source = made(MeshLetters, mesh, workflow=workflow)
        assert list((await source.waiting()).ids) == [report, letter]
        await source.close()


@pytest.mark.parametrize(
    ("wanted", "listed"),
    [
        ("TEST_WORKFLOW", {"TEST_WORKFLOW"}),
        ("TEST_WORKFLOW*", {"TEST_WORKFLOW", "TEST_WORKFLOW2", "TEST_WORKFLOW_ACK"}),
        ("*_ACK*", {"TEST_WORKFLOW_ACK"}),
        ("!TEST_WORKFLOW", {"TEST_WORKFLOW2", "TEST_WORKFLOW_ACK", "PATHOLOGY"}),
        ("!TEST_WORKFLOW*", {"PATHOLOGY"}),
        ("!*_ACK*", {"TEST_WORKFLOW", "TEST_WORKFLOW2", "PATHOLOGY"}),
    ],
)
async def test_the_simulator_reads_a_filter_as_mesh_does(
    mesh: MeshSimulator, wanted: str, listed: set[str]
) -> None:
    workflows = ("TEST_WORKFLOW", "TEST_WORKFLOW2", "TEST_WORKFLOW_ACK", "PATHOLOGY")
    posted = {mesh.post(b"x", **{"mex-workflowid": name}).message_id: name for name in workflows}
    source = made(MeshLetters, mesh)
    told = await source.http.get_json(f"/messageexchange/{OURS}/inbox", workflow_filter=wanted)
    assert {posted[message_id] for message_id in told["messages"]} == listed
    await source.close()


@pytest.mark.parametrize("day", ["chunks missing", "half bodies", "gateway errors", "busy"])
async def test_a_message_that_cannot_be_fetched_whole_stays_where_it_is(
    mesh: MeshSimulator, day: str
) -> None:
    posted = mesh.post(Conversation(mesh.clock.now()).bundle("request_new"), 700)
    source = made(MeshLetters, mesh)
    await source.waiting()
    mesh.have(day)
    if day == "gateway errors":
        mesh.faults = {"502": 1.0}
    with pytest.raises(Retry):
        await fetched(source, posted.message_id)
    mesh.have("a good day")
    assert posted.status == "accepted"
    assert len(await fetched(source, posted.message_id)) > 700
    await source.close()


@pytest.mark.parametrize("chunk_bytes", [0, 700])
async def test_a_message_whose_last_bytes_are_missing_is_not_taken_for_a_whole_one(
    mesh: MeshSimulator, chunk_bytes: int
) -> None:
    body = Conversation(mesh.clock.now()).hl7("ref_i12")
    posted = mesh.post(body, chunk_bytes)
    whole = dict(posted.chunks)
    source = made(MeshLetters, mesh)
    for number, packed in whole.items():
        for missing in (1, 9, len(packed) // 2):
            posted.chunks = whole | {number: packed[:-missing]}
            with pytest.raises(Retry, match="cut off"):
                await fetched(source, posted.message_id)
    posted.chunks = whole
    assert await fetched(source, posted.message_id) == body
    await source.close()


async def test_a_message_that_was_compressed_in_several_parts_is_whole(mesh: MeshSimulator) -> None:
    body = Conversation(mesh.clock.now()).hl7("ref_i12")
    posted = mesh.post(body)
    posted.chunks = {1: gzip.compress(body[:100]) + gzip.compress(body[100:]) + gzip.compress(b"")}
    source = made(MeshLetters, mesh)
    assert await fetched(source, posted.message_id) == body
    await source.close()


async def test_an_answer_that_does_not_say_where_it_ends_is_not_taken_for_whole() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:  # as a proxy that speaks HTTP/1.0
        return httpx2.Response(200, headers={"mex-messageid": "M1"}, stream=httpx2.ByteStream(b"MSH|^~"))

    config = made(MeshLetters, MeshSimulator()).config
    http = Http("http://mesh", transport=httpx2.MockTransport(answer))
    with pytest.raises(Retry, match="where it ends"):
        [piece async for piece in MeshMailbox(http, config, SteppedClock()).download("M1")]


async def test_a_chunk_that_is_compressed_in_another_way_than_mesh_does_is_not_landed_as_it_is(
    mesh: MeshSimulator,
) -> None:
    posted = mesh.post(b"x", **{"content-encoding": "br"}, compress=False)
    source = made(MeshLetters, mesh)
    with pytest.raises(Retry, match="compressed"):
        await fetched(source, posted.message_id)
    await source.close()


@pytest.mark.parametrize("day", ["clock three hours off", "expired password"])
async def test_a_token_that_does_not_hold_halts_the_instance(mesh: MeshSimulator, day: str) -> None:
    source = made(MeshLetters, mesh)
    mesh.have(day)
    with pytest.raises(Stop) as caught:
        await source.waiting()
    assert "password" not in caught.value.reason and "TestKey" not in caught.value.reason
    await source.close()


@pytest.mark.parametrize(("fixture", "start"), [("request_new", b'{"resourceType"'), ("ref_i12", b"MSH|")])
async def test_an_event_goes_out_in_the_language_of_its_address_in_chunks_that_are_compressed(
    mesh: MeshSimulator, fixture: str, start: bytes
) -> None:
    sink, event = made(MeshPartner, mesh, chunk_bytes=500), letter_event(mesh, fixture)
    receipt = await sink.deliver(event, event.envelope.id)
    (posted,) = mesh.messages.values()
    assert (posted.message_id, posted.status, posted.recipient) == (receipt.reference, "accepted", THEIRS)
    assert posted.total > 1 and len(posted.chunks) == posted.total
    assert posted.body.startswith(start)
    assert posted.headers["mex-localid"] == event.envelope.id
    await sink.close()


async def test_after_a_lost_answer_the_outbox_is_asked_and_nothing_is_sent_twice(mesh: MeshSimulator) -> None:
    sink, event = made(MeshPartner, mesh), letter_event(mesh)
    key = event.envelope.id
    assert await sink.find(event, key) is None
    mesh.have("answers lost")
    with pytest.raises(Retry):
        await sink.deliver(event, key)
    mesh.have("a good day")
    await sink.close()
    sink = made(MeshPartner, mesh)  # in another worker it may be
    found = await sink.find(event, key)
    assert found is not None and found.reference in mesh.messages
    assert mesh.effects() == {key: 1}
    await sink.close()


async def test_an_upload_that_broke_off_goes_on_where_it_stood(mesh: MeshSimulator) -> None:
    sink, event = made(MeshPartner, mesh, chunk_bytes=1500), letter_event(mesh)
    key = event.envelope.id
    answers, draw = iter(["", "503"]), mesh.draw
    mesh.faults = {"503": 1.0}
    mesh.draw = lambda *names: next(answers, "") if "503" in names else draw(*names)  # type: ignore[method-assign]
    with pytest.raises(Retry):
        await sink.deliver(event, key)
    del mesh.draw  # type: ignore[method-assign]
    mesh.have("a good day")
    assert await sink.find(event, key) is None, "it is not sent until its last chunk is there"
    receipt = await sink.deliver(event, key)
    (posted,) = mesh.messages.values()
    assert (receipt.reference, posted.status) == (posted.message_id, "accepted")
    assert json.loads(posted.body)["id"] == event.data["message_id"]
    await sink.close()


async def test_two_messages_under_one_id_are_a_matter_for_a_person(mesh: MeshSimulator) -> None:
    sink, event = made(MeshPartner, mesh), letter_event(mesh)
    mesh.have("messages twice")
    await sink.deliver(event, event.envelope.id)
    with pytest.raises(Reject, match="several messages"):
        await sink.find(event, event.envelope.id)
    await sink.close()


async def test_a_mailbox_that_is_not_registered_is_told_by_its_code(mesh: MeshSimulator) -> None:
    sink, event = made(MeshPartner, mesh, partner_mailbox="X26NONE"), letter_event(mesh)
    with pytest.raises(Reject, match=r"417 \(12\)"):
        await sink.deliver(event, event.envelope.id)
    await sink.close()


async def test_what_nobody_collects_becomes_an_event_that_names_its_author_and_conversation(
    mesh: MeshSimulator,
) -> None:
    sink, event = made(MeshPartner, mesh), letter_event(mesh)
    receipt = await sink.deliver(event, event.envelope.id)
    mesh.days_pass()
    source = made(MeshLetters, mesh)
    (report,) = (await source.waiting()).ids
    body = await fetched(source, report)
    assert body == b""
    (fact,) = source.translate(body, source.attributes_of(report))
    assert isinstance(fact.data, ReferralUndelivered)
    assert (fact.data.event_id, fact.data.mailbox_message_id) == (
        event.envelope.id,
        receipt.reference,
    )
    assert (fact.subject, fact.data.about_conversation_id) == (event.envelope.subject,) * 2
    assert (fact.data.author_party, fact.data.code, fact.data.mailbox_id) == ("E08000025", "14", THEIRS)
    await sink.close()
    await source.close()


@pytest.mark.parametrize("status", ["undeliverable", "error"])
async def test_what_mesh_gave_up_is_sent_again_when_it_is_replayed_and_found_from_then_on(
    mesh: MeshSimulator, status: str
) -> None:
    event = letter_event(mesh)
    key = event.envelope.id
    for number, name in enumerate((key, f"{key}.2", f"{key}.3"), start=1):
        sink = made(MeshPartner, mesh)  # in another worker it may be
        assert await sink.find(event, key) is None
        receipt = await sink.deliver(event, key)
        found = await sink.find(event, key)
        assert found is not None and found.reference == receipt.reference
        assert mesh.effects() == dict.fromkeys((key, f"{key}.2", f"{key}.3")[:number], 1)
        posted = mesh.messages[receipt.reference]
        assert posted.headers["mex-localid"] == name
        posted.status = status
        await sink.close()


async def test_a_report_on_what_was_sent_again_names_the_same_event(mesh: MeshSimulator) -> None:
    sink, event = made(MeshPartner, mesh), letter_event(mesh)
    for _ in range(2):
        assert await sink.find(event, event.envelope.id) is None
        await sink.deliver(event, event.envelope.id)
        mesh.days_pass()
    source = made(MeshLetters, mesh)
    reports = (await source.waiting()).ids
    told = []
    for report in reports:
        body = await fetched(source, report)
        told += source.translate(body, source.attributes_of(report))
    assert [fact.data.event_id for fact in told] == [event.envelope.id] * 2
    assert len({fact.key for fact in told}) == 2
    await sink.close()
    await source.close()


async def test_a_referral_by_hl7_in_the_mailbox_is_answered_through_it_under_the_wards_own_ids(
    mesh: MeshSimulator,
) -> None:
    talk = Conversation(mesh.clock.now())
    posted = mesh.refer("ref_i12", 0, talk)
    source = made(MeshLetters, mesh)
    body = await fetched(source, posted.message_id)
    (asked,) = source.translate(body, source.attributes_of(posted.message_id))
    assert isinstance(asked.data, ReferralRequested) and asked.subject == talk.correlation_id
    (answer,) = source.translate(talk.hl7("rri_accepted"))
    council = answer.data.model_copy(update={"request_id": asked.data.message_id})
    event = to_event(type(answer)(council, answer.subject, answer.time, answer.key), "/s", "E08000025", "c")
    sink = made(MeshPartner, mesh, addresses=[WARD])
    await sink.deliver(event, event.envelope.id)
    sent = next(one for one in mesh.messages.values() if one.sender == OURS).body.decode()
    assert f"MSA|AA|{asked.data.message_id}" in sent and f"|{talk.correlation_id}|" in sent
    assert DESK.split(":")[1].split("|")[0] in sent.split("\r", 1)[0]
    await sink.close()
    await source.close()


@pytest.mark.parametrize(
    "body", [b"", b"null", b"{", b'{"detail": 1}', b'{"detail": [{"code": "a name"}]}', b"[" * 90_000]
)
def test_whatever_mesh_says_with_a_refusal_only_codes_are_passed_on(body: bytes) -> None:
    assert codes(body) == []
