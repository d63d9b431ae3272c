"""What an operator may rely on with dead letters: sent once, where they failed, the original kept; by jobs that are no
faster than asked, stopped when asked, and gone on with where they were."""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.cli.main import app
from hub.delivery.dead_letter import DeadLetter
from hub.events.envelope import Envelope
from hub.events.generated.payments import PaymentCaptured
from hub.events.kafka import to_headers
from hub.gateway.client import ClientError
from hub.registry.codec import encode
from hub.registry.schemas import Registry, Schema
from hub.routes import Route, lit
from hub.routes.compiler import compile_route
from hub.routes.engine import Engine
from hub.stream.editing import faults
from hub.stream.reading import read_all
from hub.stream.trial import Trial
from hub.testing.live import LiveHub, until
from hub.testing.made_up import made_up
from tests.failures.conftest import captured

Failures = Callable[..., list[dict[str, Any]]]
Post = Callable[..., str]
PARTY = "E08000025"


def hub_command(hub: LiveHub, *words: str, answer: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(app, [*words, "--data-dir", str(hub.data_dir)], input=answer)
    return done.exit_code, done.output


def redrive(hub: LiveHub, **asked: Any) -> dict[str, Any]:
    meant: dict[str, Any] = hub.client.post("/v1/failures/redrive", {"dry_run": False, **asked})
    return over(hub, meant["job"]["id"]) if meant["job"] else meant


def begun(hub: LiveHub, **asked: Any) -> str:
    """The id of a job that redrives."""
    return str(hub.client.post("/v1/failures/redrive", {"dry_run": False, **asked})["job"]["id"])


def job_of(hub: LiveHub, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = hub.client.get(f"/v1/jobs/{job_id}")
    return found


def over(hub: LiveHub, job_id: str) -> dict[str, Any]:
    now = lambda: job_of(hub, job_id)  # noqa: E731
    assert until(lambda: now()["status"] in ("done", "cancelled")), now()
    return now()


def one_kind(hub: LiveHub, post: Post, failures: Failures, count: int) -> str:
    """The fingerprint of a kind of which there are so many, all open; those of other tests may be among them."""
    posted = [post(hub, f"JOB-{number}") for number in range(count)]
    (kind,) = {failures(hub, one)[0]["fingerprint"] for one in posted}
    return str(kind)


def copies(hub: LiveHub) -> Counter[str]:
    """How often each raw record is in its topic."""
    every = [m for part in range(4) for m in read_all(hub.client_kafka, "raw.govuk_pay", part)]
    return Counter(dict(m.headers() or [])["hub-id"].decode() for m in every)


def test_a_dead_letter_that_is_redriven_twice_is_sent_once(
    failing: LiveHub, broken: Post, failures: Failures
) -> None:
    raw_id = broken(failing)
    letter = failures(failing, raw_id)[0]
    asked = {"ids": [letter["id"]], "dry_run": False}
    jobs = [failing.client.post("/v1/failures/redrive", asked)["job"] for _ in range(2)]
    ends = [over(failing, job["id"]) for job in jobs if job]
    assert sum(job["sent"] for job in ends) == 1
    assert until(lambda: sorted(f["status"] for f in failures(failing, raw_id)) == ["open", "redriven"])
    assert copies(failing)[raw_id] == 2
    assert failing.client.post("/v1/failures/redrive", asked)["chosen"] == 0


def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(
    failing: LiveHub, broken: Post, failures: Failures
) -> None:
    raw_id = broken(failing)
    letter = failures(failing, raw_id)[0]
    status, said = hub_command(failing, "failures", "redrive", letter["id"], "--dry-run")
    assert status == 0
    assert "to redrive: 1" in said
    assert "amount" in said
    assert failures(failing, raw_id)[0]["status"] == "open"
    assert copies(failing)[raw_id] == 1


def test_redriving_asks_first_and_takes_no_for_an_answer(
    failing: LiveHub, broken: Post, failures: Failures
) -> None:
    raw_id = broken(failing)
    letter = failures(failing, raw_id)[0]
    status, said = hub_command(failing, "failures", "redrive", "--group", letter["fingerprint"], answer="n\n")
    assert status == 1
    assert "Redrive" in said
    assert copies(failing)[raw_id] == 1


def test_dead_letters_of_one_kind_are_one_line_with_its_first_and_last(
    failing: LiveHub, broken: Post, failures: Failures
) -> None:
    letters = [failures(failing, broken(failing, f"KIND-{number}"))[0] for number in range(3)]
    groups = failing.client.get("/v1/failures")["failures"]
    (mine,) = [group for group in groups if group["fingerprint"] == letters[0]["fingerprint"]]
    assert mine["count"] >= 3
    assert mine["first_at"] < mine["last_at"]
    assert (mine["stage"], mine["place"], mine["party"], mine["parties"]) == (
        "translate",
        "govuk_pay",
        PARTY,
        1,
    )
    listed = failing.client.get("/v1/failures/letters", fingerprint=mine["fingerprint"])["failures"]
    assert {letter["id"] for letter in letters} <= {one["id"] for one in listed}
    status, said = hub_command(failing, "failures", "list")
    assert status == 0
    assert mine["fingerprint"] in said


def test_what_a_dead_letter_holds_is_shown_only_when_asked_for(
    failing: LiveHub, misnamed: Post, failures: Failures
) -> None:
    letter = failures(failing, misnamed(failing, "Private person"))[0]
    status, said = hub_command(failing, "failures", "show", letter["id"])
    assert status == 0
    assert "Private person" not in said
    told = failing.client.get(f"/v1/failures/{letter['id']}")
    assert told["schema_id"] > 0
    assert told["attempts"] == 1
    assert told["origin_topic"] == "events.payments"
    assert told["headers"]["ce_id"] == letter["event_id"]
    assert told["trace"] == f"hub events trace {letter['event_id']}"
    assert "Private person" in hub_command(failing, "failures", "show", letter["id"], "--payload")[1]


def test_what_is_archived_is_kept_with_its_reason_and_never_sent(
    failing: LiveHub, broken: Post, failures: Failures
) -> None:
    raw_id = broken(failing)
    letter = failures(failing, raw_id)[0]
    status, said = hub_command(failing, "failures", "archive", letter["id"], "--reason", "a test of theirs")
    assert (status, "1 archived" in said) == (0, True)
    assert failures(failing, raw_id)[0]["status"] == "archived"
    told = failing.client.get(f"/v1/failures/{letter['id']}")
    assert told["settled"]["reason"] == "a test of theirs"
    assert failing.client.post("/v1/failures/redrive", {"ids": [letter["id"]]})["chosen"] == 0
    assert copies(failing)[raw_id] == 1


def test_an_edited_event_goes_on_and_the_original_stays_as_it_was(
    failing: LiveHub, misnamed: Post, failures: Failures
) -> None:
    payment = misnamed(failing, "MENDED")
    letter = failures(failing, payment)[0]
    with failing.subscriber(PARTY) as subscriber:
        status, said = hub_command(
            failing, "failures", "edit", letter["id"], "--set", f"metadata.team={PARTY}", "--yes"
        )
        assert status == 0, said
        assert all(line in said for line in ("  metadata.team", "    - nobody", f"    + {PARTY}"))
        assert subscriber.wait(bool, 30)
        assert subscriber.received[0].data["metadata"]["team"] == PARTY
    told = failing.client.get(f"/v1/failures/{letter['id']}", payload="true")
    assert told["payload"]["data"]["metadata"]["team"] == "nobody"
    assert told["status"] == "redriven"
    with pytest.raises(ClientError, match="already"):
        failing.client.post(f"/v1/failures/{letter['id']}/edit", {"fields": {"reference": "x"}})


def test_an_edit_that_would_fail_again_is_not_sent(
    failing: LiveHub, misnamed: Post, failures: Failures
) -> None:
    letter = failures(failing, misnamed(failing))[0]
    still = hub_command(failing, "failures", "edit", letter["id"], "--set", "metadata.team=nowhere", "--yes")
    assert (still[0], "would be refused again: route named" in still[1]) == (1, True)
    wrong = hub_command(failing, "failures", "edit", letter["id"], "--set", 'amount="many"', "--yes")
    assert (wrong[0], "amount" in wrong[1]) == (1, True)
    nowhere = hub_command(failing, "failures", "edit", letter["id"], "--set", "a.b.c=1", "--yes")
    assert (nowhere[0], "there is no place for a.b.c" in nowhere[1]) == (1, True)
    assert failing.client.get(f"/v1/failures/{letter['id']}")["status"] == "open"


@pytest.mark.parametrize(
    ("published", "told"),
    [(True, []), (False, ["route named: data: no schema of type payments.payment.captured"])],
)
def test_an_edit_of_what_was_written_before_its_contract_changed_is_judged_by_the_contracts_of_today(
    root: Path, published: bool, told: list[str]
) -> None:
    older = Registry.load(root / "schemas").by_type("payments.payment.captured")
    more = {"name": "more", "type": ["null", "string"], "default": None}
    definition = {**older.definition, "fields": [*older.definition["fields"], more]}
    newer = Schema.of(999, older.type, older.version + 1, definition)
    route = Route(name="named", on=(older.type,), to=lit(PARTY))
    routes = compile_route(route, Registry([older, newer]))
    registry = Registry([older, newer], None if published else [])
    loaded: Any = SimpleNamespace(registry=registry, engine=Engine(routes, [PARTY], registry))
    envelope = Envelope("1", "/x", older.type, "p", datetime(2026, 5, 1, tzinfo=UTC), PARTY, "", "", "")
    message: Any = SimpleNamespace(headers=lambda: to_headers(envelope))
    place = {"topic": "events.payments", "partition": 0, "offset": 0, "route": "named"}
    letter = DeadLetter(stage="route", reason="", reason_class="mapping", at=0, **place)
    value = encode(older, made_up(PaymentCaptured).to_avro())
    assert faults(Trial(loaded), message, letter, value) == told


def test_a_raw_record_is_mended_in_the_operators_editor(
    failing: LiveHub, broken: Post, failures: Failures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_id = broken(failing, "EDITOR")
    letter = failures(failing, raw_id)[0]
    editor = tmp_path / "editor"
    editor.write_text(
        '#!/bin/sh\nsed -i \'s/"reference": "EDITOR"/"reference": "EDITOR", "amount": 700/\' "$1"\n'
    )
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setitem(os.environ, "EDITOR", str(editor))
    monkeypatch.delenv("VISUAL", raising=False)
    status, said = hub_command(failing, "failures", "edit", letter["id"], answer="y\n")
    assert status == 0, said
    assert "  resource.amount\n    - null\n    + 700" in said
    caused = lambda: failing.client.get(f"/v1/events/{raw_id}")["steps"]  # noqa: E731
    assert until(lambda: "redriven" in {step["outcome"] for step in caused()})
    events = lambda: failing.client.get("/v1/events", type="payments.payment.captured")["items"]  # noqa: E731
    assert until(lambda: raw_id in {one["causation_id"] for one in events()})


def test_half_a_surrogate_pair_is_shown_as_it_came_and_edited_as_text(
    failing: LiveHub, failures: Failures
) -> None:
    message = captured(failing, "HALF")
    amount = message["resource"].pop("amount")
    message["resource"]["description"] = "half a \ud83d"
    body = json.dumps(message)
    raw_id = failing.post("birmingham-pay", body.encode()).headers["hub-record-id"]
    (letter,) = failures(failing, raw_id)
    shown = failing.client.get(f"/v1/failures/{letter['id']}", payload="true")["payload"]
    assert (shown["kind"], shown["data"]) == ("text", body)
    message["resource"] |= {"amount": amount, "description": "whole"}
    edit = {"data": json.dumps(message), "dry_run": False}
    edited = failing.client.post(f"/v1/failures/{letter['id']}/edit", edit)
    assert over(failing, edited["job"]["id"])["sent"] == 1


def test_an_edit_that_no_record_can_hold_is_refused_by_its_field(
    failing: LiveHub, broken: Post, failures: Failures
) -> None:
    (letter,) = failures(failing, broken(failing, "NO-TEXT"))
    for half in ('"\\ud83d"', "NaN"):
        with pytest.raises(ClientError, match=r"resource\.amount: JSON in UTF-8 cannot hold it"):
            failing.client.post(
                f"/v1/failures/{letter['id']}/edit", {"fields": {"resource.amount": half}, "dry_run": False}
            )


def test_a_delivery_that_failed_is_redriven_to_that_subscription_alone(
    failing: LiveHub, misnamed: Post, failures: Failures
) -> None:
    down = [True]
    with (
        failing.subscriber(PARTY, lambda _: 500 if down else 204) as ill,
        failing.subscriber(PARTY) as well,
    ):
        payment = misnamed(failing, "REDRIVEN", team=PARTY)
        assert well.wait(bool, 30)
        letter = failures(failing, payment)[0]
        assert (letter["stage"], letter["attempts"]) == ("deliver", 10)
        down.clear()
        assert redrive(failing, ids=[letter["id"]])["sent"] == 1
        assert ill.wait(bool, 30)
        assert ill.received[0].id == well.received[0].id
        states = lambda: failing.client.get(f"/v1/events/{ill.received[0].id}")["event"]["state"]  # noqa: E731
        assert until(lambda: states() == "delivered")
        assert len(well.received) == 1


def test_a_delivery_to_a_subscription_that_was_deleted_is_not_redriven_to_nobody(
    failing: LiveHub, misnamed: Post, failures: Failures
) -> None:
    with failing.subscriber(PARTY, lambda _: 500):
        payment = misnamed(failing, "DELETED", team=PARTY)
        letter = failures(failing, payment)[0]
    job = redrive(failing, ids=[letter["id"]])
    assert (job["sent"], job["refused"]) == (0, 1)
    assert "there no more" in job["note"]
    assert [one["status"] for one in failures(failing, payment)] == ["open"]


def test_a_job_is_no_faster_than_asked(failing: LiveHub, broken: Post, failures: Failures) -> None:
    job = begun(failing, fingerprint=one_kind(failing, broken, failures, 20), rate=10)
    ended = over(failing, job)
    assert (ended["status"], ended["sent"] >= 20) == ("done", True)
    assert ended["ended_at"] - ended["started_at"] >= (ended["sent"] - 3) / 10


def test_a_job_that_is_cancelled_leaves_the_rest_open(
    failing: LiveHub, broken: Post, failures: Failures
) -> None:
    kind = one_kind(failing, broken, failures, 20)
    job = begun(failing, fingerprint=kind, rate=2)
    assert until(lambda: job_of(failing, job)["sent"] >= 1)
    stopped = failing.client.post(f"/v1/jobs/{job}/cancel", {})
    assert stopped["status"] == "cancelled"
    assert stopped["sent"] < 10
    rest = failing.client.post("/v1/failures/redrive", {"fingerprint": kind})["chosen"]
    assert rest >= 10
    with pytest.raises(Exception, match="over"):
        failing.client.post(f"/v1/jobs/{job}/cancel", {})


def test_a_job_goes_on_where_it_was_though_the_hub_is_killed(
    failing: LiveHub, broken: Post, failures: Failures
) -> None:
    raw = [broken(failing, f"JOB-{number}") for number in range(60)]
    letters = [failures(failing, one)[0]["id"] for one in raw]
    job = begun(failing, ids=letters, rate=5)
    assert until(lambda: job_of(failing, job)["sent"] >= 10)
    assert job_of(failing, job)["sent"] < 60
    failing.kill()
    failing.start()
    assert until(lambda: job_of(failing, job)["status"] == "done", 60), job_of(failing, job)
    assert job_of(failing, job)["sent"] == 60
    found = copies(failing)
    assert {found[one] for one in raw} == {2}
