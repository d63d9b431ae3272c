"""A replay sends what its plan says, as today's mappings make it, to those that it names: once, and marked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import Any

import pytest
from typer.testing import CliRunner

from hub.cli import replay
from hub.cli.main import app
from hub.events.kafka import header
from hub.registry import lock
from hub.stream.reading import read_all
from hub.stream.replay import Asked, Plan, may_apply
from hub.testing.live import LiveHub, live_hub, until, write_config

PARTY = "E08000025"
ROUTE = '''"""Licence fees, as a test has them at the moment."""

from hub.routes import Route, col

fees = Route(
    name="fees",
    on=("payments.payment.captured",),
    when=col("reference") != WITHOUT,
    to=TO,
    emits="licensing.fee.paid",
    subject=col("reference"),
    columns={
        "council": col("ce.party"),
        "licence_reference": col("reference"),
        "payment_id": col("payment_id"),
        "amount": AMOUNT,
        "currency": col("currency"),
        "paid_at": col("ce.time"),
        "licence_type": col("metadata.licence_type"),
        "ledger_code": col("metadata.ledger_code"),
    },
)
'''


def write_route(
    hub_folder: Path, amount: str = 'col("amount")', to: str = 'col("ce.party")', without: str = ""
) -> None:
    text = ROUTE.replace("AMOUNT", amount).replace("TO,", f"{to},").replace("WITHOUT", repr(without))
    (hub_folder / "routes").mkdir(exist_ok=True)
    (hub_folder / "routes" / "fees.py").write_text(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def replayed(folder: Path, root: Path) -> Iterator[LiveHub]:
    """A hub whose one route the tests change; it runs with the route as it is first."""
    write_route(folder)
    with live_hub(folder, root) as running:
        yield running


@pytest.fixture(autouse=True)
def first_route(folder: Path, replayed: LiveHub) -> None:
    write_route(folder)


def command(hub: LiveHub, *words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["replay", *words, "--data-dir", str(hub.data_dir)])
    return done.exit_code, done.output


def planned(hub: LiveHub, out: Path, *words: str) -> tuple[dict[str, Any], str]:
    status, said = command(hub, "plan", *words, "--out", str(out), "--config", str(hub.config))
    assert status == 0, said
    return json.loads(out.read_text()), said


def run(hub: LiveHub, plan: Path) -> dict[str, Any]:
    status, said = command(hub, "run", str(plan), "--yes", "--json")
    assert status == 0, said
    job: dict[str, Any] = json.loads(said)
    return job


def pay(hub: LiveHub, *references: str) -> float:
    """Payments that were captured and routed; when they began."""
    started = time()
    for reference in references:
        hub.simulators["birmingham-pay"].paid_payment(reference, 1_000)
    routed = lambda: {  # noqa: E731
        one["subject"] for one in hub.client.get("/v1/events", type="licensing.fee.paid", limit=500)["items"]
    }
    assert until(lambda: set(references) <= routed())
    return started


def inbox(hub: LiveHub, topic: str = f"inbox.{PARTY}") -> list[Any]:
    return [message for part in range(4) for message in read_all(hub.client_kafka, topic, part)]


def test_a_plan_says_field_by_field_what_a_mended_mapping_changes_and_sends_nothing(
    replayed: LiveHub, folder: Path, tmp_path: Path
) -> None:
    since = pay(replayed, "CHANGED/1", "CHANGED/2")
    before = len(inbox(replayed))
    write_route(folder, amount='col("amount") * 2')
    plan, said = planned(replayed, tmp_path / "plan.json", "--since", _text(since), "--route", "fees")
    assert [(one["compared"], one["fields"]) for one in plan["items"]] == [("changed", ["amount"])] * 2
    assert "what differs from what they got then: amount (2)" in said
    assert "2000" not in (tmp_path / "plan.json").read_text()  # values only when asked for
    plan, said = planned(
        replayed, tmp_path / "plan.json", "--since", _text(since), "--route", "fees", "--values"
    )
    assert plan["items"][0]["changes"] == [{"field": "amount", "before": 1_000, "after": 2_000}]
    assert "    - 1000\n    + 2000" in said
    assert len(inbox(replayed)) == before


def test_a_plan_is_for_its_owner_alone_though_its_file_was_there_for_all(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("{}")
    path.chmod(0o644)
    asked = Asked(source="events", since=0, until=1)
    replay._write(Plan(id="1", made_at=0, asked=asked, read=0, items=()), path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_the_running_routes_make_otherwise_than_planned_is_not_sent(
    replayed: LiveHub, folder: Path, tmp_path: Path
) -> None:
    since = pay(replayed, "OTHER/1")
    before = len(inbox(replayed))
    write_route(folder, amount='col("amount") * 3')
    planned(replayed, tmp_path / "plan.json", "--since", _text(since), "--route", "fees")
    job = run(replayed, tmp_path / "plan.json")
    assert (job["status"], job["sent"], job["refused"]) == ("done", 0, 1)
    assert "plan again" in job["note"]
    assert len(inbox(replayed)) == before


def test_a_plan_names_what_today_would_refuse_and_what_nobody_would_get_any_more(
    replayed: LiveHub, folder: Path, tmp_path: Path
) -> None:
    since = pay(replayed, "REFUSED/1", "WITHDRAWN/1")
    write_route(folder, to='col("metadata.nobody")', without="WITHDRAWN/1")
    plan, said = planned(replayed, tmp_path / "plan.json", "--since", _text(since), "--route", "fees")
    assert plan["items"] == []
    assert [one["subject"] for one in plan["withdrawn"] if one["subject"].startswith("WITHDRAWN")]
    assert [(one["route"], one["reason"]) for one in plan["refused"]] == [
        ("fees", "`to` names no party of this hub")
    ]
    assert "today would refuse: 1" in said


def test_a_plan_is_run_once_marked_and_under_the_ids_of_then(replayed: LiveHub, tmp_path: Path) -> None:
    with replayed.subscriber(PARTY, types=["licensing.fee.paid"]) as subscriber:
        since = pay(replayed, "ONCE/1", "ONCE/2")
        assert subscriber.wait(lambda got: len(got) == 2, 30)
        plan, said = planned(replayed, tmp_path / "plan.json", "--since", _text(since), "--to", PARTY)
        assert {one["compared"] for one in plan["items"]} == {"same"}
        assert "sinks: off" in said
        first, second = run(replayed, tmp_path / "plan.json"), run(replayed, tmp_path / "plan.json")
        assert first["id"] == second["id"]
        assert second["sent"] == 2, str((second, plan["items"]))
        marked = [m for m in inbox(replayed) if header(m.headers(), "hub-replay") == plan["id"]]
        assert {header(m.headers(), "ce_id") for m in marked} == {one["id"] for one in plan["items"]}
        assert len(marked) == 2
        ids = lambda: {one.id for one in subscriber.received}  # noqa: E731
        assert ids() == {one["id"] for one in plan["items"]}
        steps = lambda: replayed.client.get(f"/v1/events/{plan['items'][0]['id']}")["steps"]  # noqa: E731
        assert until(lambda: "replayed" in {step["outcome"] for step in steps()})


def test_what_was_written_before_its_contract_changed_is_planned_too(
    replayed: LiveHub, folder: Path, root: Path, tmp_path: Path
) -> None:
    since = pay(replayed, "OLDER/1")
    (tmp_path / "routes").symlink_to(folder / "routes")
    shutil.copytree(root / "schemas", tmp_path / "schemas")
    contract = tmp_path / "schemas" / "payments" / "payment.captured.avsc"
    definition = json.loads(contract.read_text())
    more = {"name": "more", "type": ["null", "string"], "default": None}
    definition["fields"].append({**more, "doc": "New.", "classification": "internal"})
    contract.write_text(json.dumps(definition))
    lock.update(tmp_path / "schemas")
    (tmp_path / "schemas" / "payments" / "payment.succeeded.avsc").unlink()
    words = ("plan", "--since", _text(since), "--route", "fees", "--out", str(tmp_path / "plan.json"))
    status, said = command(replayed, *words, "--config", str(write_config(tmp_path, root)))
    assert status == 0, said
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert [(one["subject"], one["compared"]) for one in plan["items"]] == [("OLDER/1", "same")]
    assert {one["reason"] for one in plan["refused"]} == {
        "data: no schema of type payments.payment.succeeded"
    }


def test_raw_records_are_translated_anew_for_a_sandbox_that_nobody_is_sent(
    replayed: LiveHub, tmp_path: Path
) -> None:
    since = pay(replayed, "SANDBOX/1")
    before = len(inbox(replayed))
    plan, _ = planned(
        replayed,
        tmp_path / "plan.yaml.json",
        *(
            "--since",
            _text(since),
            "--from",
            "raw",
            "--type",
            "payments.payment.captured",
            "--sandbox",
            "trial",
        ),
    )
    # Payments of other tests, found by the poller since, are told with another time than by their webhooks.
    assert {one["compared"] for one in plan["items"] if one["subject"] == "SANDBOX/1"} == {"same"}
    job = run(replayed, tmp_path / "plan.yaml.json")
    assert job["sent"] == len(plan["items"]) >= 1
    keys = [message.key() for message in inbox(replayed, "sandbox.trial")]
    assert sorted(keys) == sorted(one["subject"].encode() for one in plan["items"])
    assert b"SANDBOX/1" in keys
    assert len(inbox(replayed)) == before


def test_a_plan_in_yaml_is_as_good(replayed: LiveHub, tmp_path: Path) -> None:
    since = pay(replayed, "YAML/1")
    path = tmp_path / "plan.yaml"
    words = ("plan", "--since", _text(since), "--sandbox", "yaml", "--out", str(path))
    assert command(replayed, *words, "--config", str(replayed.config))[0] == 0
    assert run(replayed, path)["sent"] >= 1


def test_a_plan_that_would_be_too_much_says_how_to_ask_for_less(replayed: LiveHub, tmp_path: Path) -> None:
    pay(replayed, "MUCH/1", "MUCH/2")
    words = ("plan", "--since", "1h", "--to", PARTY, "--limit", "1", "--out", str(tmp_path / "plan.json"))
    status, said = command(replayed, *words, "--config", str(replayed.config))
    assert status == 1
    assert "a shorter time, a type, a party or a subject" in said
    assert command(replayed, "plan", "--since", "1h", "--config", str(replayed.config))[0] == 1


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"sinks": ["birmingham-pay"]}, "sinks"),
        ({"items": []}, "sends nothing"),
        (
            {"items": [{"at": "dead-letters/0/1", "id": "x", "route": "fees", "to": PARTY, "digest": ""}]},
            "at",
        ),
        ({"items": [{"at": "raw.x/0/1", "id": "x", "route": "fees", "to": "dvla", "digest": ""}]}, "party"),
        ({"sandbox": "../up"}, "sandbox"),
    ],
)
def test_a_plan_that_was_tampered_with_is_refused(
    replayed: LiveHub, changed: dict[str, Any], told: str
) -> None:
    item = {"at": "events.payments/0/0", "id": "x", "route": "fees", "to": PARTY, "digest": "0"}
    with pytest.raises(Exception, match=told):
        replayed.client.post("/v1/replays", {"plan": "0123456789ab", "items": [item], **changed})


def test_sinks_take_a_replay_only_where_it_names_them() -> None:
    assert may_apply([("ce_id", b"1")], "dvla-notices")
    assert not may_apply([("hub-replay", b"1")], "dvla-notices")
    assert may_apply([("hub-replay", b"1"), ("hub-sinks", b"other,dvla-notices")], "dvla-notices")
    assert not may_apply([("hub-replay", b"1"), ("hub-sinks", b"dvla-notices-2")], "dvla-notices")


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
