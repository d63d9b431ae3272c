"""Subscriptions: which events they want, which secrets are valid when, and what their topic holds."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.delivery.signing import derive_secret
from hub.delivery.subscription import Subscription, check_types, matcher, secrets_of

MASTER = bytes(range(32))
NOW = 1_700_000_000.0
DAY = 86_400

words = st.from_regex(r"[a-z0-9]{1,6}(-[a-z0-9]{1,3})?", fullmatch=True)
event_types = st.lists(words, min_size=1, max_size=4).map(".".join)


def subscription(types: tuple[str, ...] = ("*",)) -> Subscription:
    return Subscription(id="s1", party="E08000025", url="https://hooks.example.gov.uk/x", types=types)


@pytest.mark.parametrize(
    ("pattern", "event_type", "wanted"),
    [
        ("*", "payments.payment.captured", True),
        ("payments.payment.*", "payments.payment.captured", True),
        ("payments.*", "payments.payment.captured", True),
        ("payments.payment.*", "payments.payment", False),
        ("payments.payment.*", "payments.payments.captured", False),
        ("payments.payment.captured", "payments.payment.captured", True),
        ("payments.payment.captured", "payments-payment-captured", False),
        ("payments.payment.captured", "payments.payment.captured.late", False),
        ("*.payment.failed", "payments.payment.failed", True),
        ("*.payment.failed", "a.b.payment.failed", False),
        ("licensing.*.granted", "licensing.premises-licence.granted", True),
        ("licensing.*.granted", "licensing.premises.licence.granted", False),
        ("payments.*", "payments.payment.captured\n", True),
    ],
)
def test_a_pattern_matches_by_whole_words(pattern: str, event_type: str, wanted: bool) -> None:
    assert matcher((pattern,))(event_type) is wanted


@given(event_types, event_types)
def test_an_exact_type_matches_itself_alone_and_its_prefixes_match_it(one: str, other: str) -> None:
    check_types((one,))
    assert matcher((one,))(one)
    assert matcher((one,))(other) is (one == other)
    head = one.rpartition(".")[0]
    if head:
        assert matcher((head + ".*",))(one)
        assert not matcher((head,))(one)


def test_any_of_several_patterns_is_enough() -> None:
    wanted = subscription(("payments.*", "licensing.fee.paid"))
    assert wanted.wants("licensing.fee.paid")
    assert wanted.wants("payments.refund.succeeded")
    assert not wanted.wants("licensing.fee.waived")


def test_an_ended_subscription_wants_nothing() -> None:
    ended = subscription().ended("410 Gone")
    assert not ended.wants("payments.payment.captured")
    assert (ended.status, ended.ended_reason) == ("ended", "410 Gone")


@pytest.mark.parametrize(
    "types",
    [(), ("",), ("Payments.*",), ("payments..x",), ("pay*",), (".*",), ("a.**",), ("a b",), ("a.b\n",)],
)
def test_a_malformed_pattern_is_refused_with_an_example(types: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"`payments\.payment\.\*`|`\*` is all"):
        check_types(types)


def test_both_secrets_are_valid_for_a_day() -> None:
    rotated = subscription().rotated(NOW)
    old, new = derive_secret(MASTER, "s1", 1), derive_secret(MASTER, "s1", 2)
    assert secrets_of(subscription(), MASTER, NOW) == (old,)
    assert secrets_of(rotated, MASTER, NOW + DAY - 0.1) == (new, old)
    assert secrets_of(rotated, MASTER, NOW + DAY) == (new,)


def test_a_second_rotation_within_the_overlap_drops_the_oldest_secret() -> None:
    twice = subscription().rotated(NOW).rotated(NOW + 1)
    assert secrets_of(twice, MASTER, NOW + 2) == (
        derive_secret(MASTER, "s1", 3),
        derive_secret(MASTER, "s1", 2),
    )


def test_it_survives_the_topic_as_json() -> None:
    rotated = subscription(("payments.*", "*")).rotated(NOW)
    assert Subscription.from_bytes(rotated.to_bytes()) == rotated
    assert msgspec.json.decode(rotated.to_bytes())["party"] == "E08000025"


def test_what_a_newer_worker_wrote_is_read_by_an_older_one() -> None:
    newer = msgspec.json.decode(subscription().to_bytes()) | {"quota": 5}
    assert Subscription.from_bytes(msgspec.json.encode(newer)) == subscription()


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"{", "not a subscription"),
        (b"\xff", "not a subscription"),
        (b'{"id": "s1", "party": "p"}', "url"),
        (b'{"id": "s1", "party": "p", "url": "u", "mode": "sideways-secret"}', "mode"),
        (b'{"id": "s1", "party": "p", "url": "u", "timeout_s": "secret"}', "timeout_s"),
        (b'{"id": "s1", "party": "p", "url": "u", "timeout_s": 61}', "timeout_s"),
        (b'{"id": "s1", "party": "p", "url": "u", "timeout_s": 0}', "timeout_s"),
    ],
)
def test_broken_bytes_are_refused_naming_the_field_and_not_its_value(raw: bytes, named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        Subscription.from_bytes(raw)
    assert "secret" not in str(caught.value)
