"""A subscriber of one's own takes what is genuine, and nothing of which it cannot know that."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from hub.delivery import receiver as receiving
from hub.delivery.http import Content, request_for
from hub.delivery.receiver import Receiver
from hub.delivery.signing import Secret, derive_secret
from hub.delivery.subscription import Subscription
from hub.events.envelope import Envelope

SECRET, ANOTHER = derive_secret(bytes(32), "s1", 1), derive_secret(bytes(32), "s2", 1)


def delivery(secret: Secret) -> tuple[dict[str, str], bytes]:
    happened = datetime(2026, 5, 1, tzinfo=UTC)
    event = Envelope("evt-1", "/connectors/x", "a.b.happened", "Zoë", happened, "p", "c", "r", "00-0-0-01")
    subscription = Subscription(id="s1", party="p", url="https://hooks.example.gov.uk/")
    headers, body = request_for(subscription, Content(event, {"n": 1}), [secret], time.time())
    return {name.lower(): value for name, value in headers.items()}, body


@pytest.mark.parametrize(("signed_with", "answer"), [(SECRET, 204), (ANOTHER, 400)])
def test_what_comes_before_its_secret_waits_for_it_and_is_verified(signed_with: Secret, answer: int) -> None:
    receiver = Receiver()
    with ThreadPoolExecutor(1) as other:
        taken: Future[int] = other.submit(receiver.take, *delivery(signed_with))
        while not receiver.attempts:
            time.sleep(0.01)
        assert not taken.done()
        receiver.secret = SECRET
        assert taken.result(10) == answer
    assert len(receiver.received) == (answer == 204)


def test_what_cannot_be_verified_is_not_taken_and_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "_SECRET_WITHIN_S", 0.05)
    receiver = Receiver()
    assert receiver.take(*delivery(SECRET)) == 503
    receiver.secret = SECRET
    assert receiver.take(*delivery(SECRET)) == 204
    assert [one.id for one in receiver.received] == ["evt-1"]


def test_who_asks_for_it_takes_all_without_verifying() -> None:
    assert Receiver(verifying=False).take(*delivery(ANOTHER)) == 204
