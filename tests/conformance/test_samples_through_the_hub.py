"""Every published sample, posted with a right signature to a running hub: an event, or a reason; none disappears."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.testing.live import LiveHub, until
from tests.conformance.govuk_pay import load, samples_in

HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"\xff\xfe",
    b'"text"',
    b"{" * 5_000,
    b'{"event_type": 7}',
    b"0" * 100_000,
]


@pytest.fixture(scope="module")
def bodies(samples: Path) -> dict[str, bytes]:
    files = sorted(path for path in (samples / "govuk_pay").rglob("*") if path.is_file())
    others = [path for path in sorted(samples.rglob("*.json")) if "govuk_pay" not in path.parts]
    chosen = files + others
    named = {str(path.relative_to(samples)): path.read_bytes() for path in chosen}
    for path in files:  # webhooks that stand inside other files
        for number, sample in enumerate(samples_in(load(path), path.name)):
            if sample.kind == "webhook":
                named[f"webhook {number} of {path.name}"] = sample.body
    return {name: body for name, body in named.items() if len(body) <= 1 << 20} | {
        f"hostile {number}": body for number, body in enumerate(HOSTILE)
    }


def test_each_is_accepted_and_ends_as_an_event_or_with_a_reason(
    hub: LiveHub, bodies: dict[str, bytes]
) -> None:
    records: dict[str, str] = {}
    for name, body in bodies.items():
        answer = hub.post("birmingham-pay", body)
        assert answer.status_code == 202, f"{name}: {answer.status_code}"
        records[name] = answer.headers["hub-record-id"]
    ends: dict[str, str] = {}

    def all_ended() -> bool:
        for raw_id in set(records.values()) - ends.keys():
            ends.update(_end(hub, raw_id))
        return ends.keys() == set(records.values())

    assert until(all_ended, 60), (
        f"disappeared: {[name for name, raw in records.items() if raw not in ends][:5]}"
    )
    events = [name for name, raw_id in records.items() if ends[raw_id] == "event"]
    print(
        f"{len(records)} bodies, {len(ends)} records: {len(events)} events, {len(records) - len(events)} set aside"
    )
    assert {name for name in records if name.startswith("webhook ")} <= set(events)
    for name, raw_id in records.items():
        assert ends[raw_id] == "event" or len(ends[raw_id].split()) >= 2, f"{name}: no reason for a person"


def _end(hub: LiveHub, raw_id: str) -> dict[str, str]:
    failures = hub.client.get("/v1/failures/of", event=raw_id)["failures"]
    if failures:
        assert failures[0]["stage"] == "translate"
        return {raw_id: failures[0]["reason"]}
    roots = hub.client.call("GET", "/v1/cases/" + raw_id, missing_is_none=True)
    if roots and any(root["children"] for root in roots["roots"] if root["id"] == raw_id):
        return {raw_id: "event"}
    return {}
