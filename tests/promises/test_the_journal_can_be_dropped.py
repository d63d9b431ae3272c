"""The journal is a read model: drop it, and it is rebuilt from Kafka; lock or damage it, and events go on without."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.gateway.client import ClientError
from hub.testing.live import LiveHub, live_hub, until


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Iterator[LiveHub]:
    """A hub whose journal is ours to spoil."""
    with live_hub(tmp_path_factory.mktemp("dropped"), root) as running:
        yield running


def test_a_dropped_journal_is_rebuilt_from_kafka(hub: LiveHub) -> None:
    paid = [hub.simulators["birmingham-pay"].paid_payment(f"PREM/2026/{n}", 100) for n in range(5)]
    hub.post("birmingham-pay", b"broken")
    assert until(lambda: _counts(hub).get("route.routed", 0) >= 20)
    assert until(lambda: _failures(hub) == 1)
    before = _counts(hub)
    hub.stop()
    _remove_journal(hub)
    hub.start()
    assert until(lambda: all(_counts(hub).get(name, 0) >= count for name, count in before.items()))
    assert until(lambda: _failures(hub) == 1)  # which comes out of another topic than the outcomes
    assert all(hub.client.get(f"/v1/cases/{payment}")["roots"] for payment in paid)


def test_a_locked_journal_holds_up_no_event_and_catches_up(hub: LiveHub) -> None:
    with hub.subscriber("E08000025", types=["licensing.fee.paid"]) as subscriber:
        lock = sqlite3.connect(hub.data_dir / "journal.db", isolation_level=None)
        lock.execute("BEGIN EXCLUSIVE")
        paid = hub.simulators["birmingham-pay"].paid_payment("PREM/2026/1", 100)
        assert subscriber.wait(bool, 30)
        lock.execute("ROLLBACK")
        lock.close()
        assert until(lambda: _finds(hub, paid), 60)


def test_a_hub_starts_whose_journal_is_damaged_and_makes_it_anew_once_it_is_removed(hub: LiveHub) -> None:
    hub.stop()
    _remove_journal(hub)
    (hub.data_dir / "journal.db").write_bytes(b"payload," * 1000)
    hub.start()
    with hub.subscriber("E08000025", types=["licensing.fee.paid"]) as subscriber:
        paid = hub.simulators["birmingham-pay"].paid_payment("PREM/2026/2", 100)
        assert subscriber.wait(bool, 30)
        assert until(lambda: "it is not a journal; remove it" in _told(hub, "waits"))
        with pytest.raises(ClientError, match="it is not a journal; remove it"):
            hub.client.get("/v1/events")
        _remove_journal(hub)
        assert until(lambda: _finds(hub, paid), 60)


def _remove_journal(hub: LiveHub) -> None:
    for path in hub.data_dir.glob("journal.db*"):
        path.unlink()


def _told(hub: LiveHub, kind: str) -> str:
    ill = hub.client.get("/v1/status")["ill"]
    return " ".join(one["told"] for one in ill if (one["part"], one["kind"]) == ("journal", kind))


def _finds(hub: LiveHub, payment: str) -> bool:
    return bool(hub.client.get("/v1/events", subject=payment)["items"])


def _counts(hub: LiveHub) -> dict[str, int]:
    return dict(hub.client.get("/v1/status")["counts"]["outcomes"])


def _failures(hub: LiveHub) -> int:
    return int(hub.client.get("/v1/status")["counts"]["open_failures"])
