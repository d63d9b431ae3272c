"""A worker that is alive and does nothing is found, shown and restarted, and every event arrives all the same."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from hub.testing.live import LiveHub, live_hub, until
from hub.testing.traffic import ids_in, traffic

pytestmark = pytest.mark.long

#: A point, what it does there and when, and as what that is seen. So far apart that one fires after the other.
HANGS = {
    "the event loop stands": ("journal.took", "block-after:50", ("worker", "blocked")),
    "a thread stands": ("translate", "hang-after:150", ("translate", "stuck")),
    "an agent hands nothing on": ("route.took", "hang-after:600", ("route", "stuck")),
}
SEEN_AS = {seen_as for _, _, seen_as in HANGS.values()}


def test_each_way_to_hang_is_seen_and_healed_and_nothing_is_lost(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = [
        f"{point}:{action}@{tmp_path / what.replace(' ', '-')}" for what, (point, action, _) in HANGS.items()
    ]
    monkeypatch.setenv("HUB_FAILPOINT", " ".join(points))
    seen: set[tuple[str, str]] = set()

    def all_healed() -> bool:
        seen.update(_ill(hub))
        runs = _status(hub)["workers"][0].get("state", "running") == "running"
        return runs and set(_restarts(hub)) >= SEEN_AS

    with (
        live_hub(tmp_path, root, watchdog={"stuck_after_s": 2}) as hub,
        hub.subscriber("E08000025", types=["licensing.fee.paid"]) as subscriber,
    ):
        with traffic(hub, "birmingham-pay", rate=40) as sent:
            assert until(all_healed, 120), (seen, _restarts(hub))
            frozen = _status(hub)["workers"][0]["pid"]
            os.kill(frozen, signal.SIGSTOP)
            assert until(lambda: ("worker", "silent") in _ill(hub)), _ill(hub)
            assert until(lambda: _status(hub)["workers"][0]["pid"] != frozen, 40), (
                "nor does a frozen one stay"
            )
        assert seen >= SEEN_AS, "shown before it was healed"
        heard = lambda: sent.heard([one.data["payment_id"] for one in subscriber.received])  # noqa: E731
        assert until(lambda: not heard().lost, 60), heard()
        assert not heard().unexpected
        for topic in ("events.payments", "inbox.E08000025"):
            ids = ids_in(hub, topic)
            assert len(ids) == len(set(ids)), f"{topic} holds repeats"
        assert until(lambda: not _ill(hub)), _ill(hub)
        assert set(sent.answers) == {"202"}


def test_a_stage_that_stands_holds_up_no_other_and_catches_up(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stands = tmp_path / "the-journal-stands"
    monkeypatch.setenv("HUB_FAILPOINT", f"journal.took:wait-after:50@{stands}")
    with (
        live_hub(tmp_path, root, watchdog={"stuck_after_s": 120, "behind_after_s": 3}) as hub,
        hub.subscriber("E08000025", types=["licensing.fee.paid"]) as subscriber,
    ):
        heard = lambda: sent.heard([one.data["payment_id"] for one in subscriber.received])  # noqa: E731
        with traffic(hub, "birmingham-pay", rate=40) as sent:
            assert until(stands.exists, 60)
            before = len(sent.accepted)
            assert until(lambda: len(sent.accepted) > before + 400, 60)
            assert until(lambda: ("journal", "behind") in _ill(hub)), _ill(hub)
        assert until(lambda: not heard().lost, 60), "all of it, while the journal stands"
        stands.write_text("go on")
        assert until(lambda: not _ill(hub), 60), _ill(hub)
        last = max(sent.accepted)
        assert until(lambda: bool(hub.client.get("/v1/events", subject=last)["items"]))


def _ill(hub: LiveHub) -> set[tuple[str, str]]:
    return {(one["part"], one["kind"]) for one in _status(hub)["ill"]}


def _restarts(hub: LiveHub) -> list[tuple[str, str]]:
    found = [one for worker in _status(hub)["workers"] for one in worker.get("restarts", [])]
    return [(one["part"], one["kind"]) for one in found]


def _status(hub: LiveHub) -> Any:
    return hub.client.get("/v1/status")
