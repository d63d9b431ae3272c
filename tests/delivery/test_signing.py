"""Signatures: what is signed is accepted by others' code, and nothing else is accepted by ours."""

from __future__ import annotations

import base64
import json
import logging
import pickle
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from hub.delivery.signing import TOLERANCE_S, Secret, SignatureError, derive_secret, sign, verify

MASTER = bytes(range(32))
NOW = 1_700_000_000

bodies = st.text().map(str.encode)
versions = st.integers(min_value=1, max_value=1000)


def signed(secret: Secret, body: bytes, at: int = NOW) -> dict[str, str]:
    return {
        "webhook-id": "evt-1",
        "webhook-timestamp": str(at),
        "webhook-signature": sign(secret, "evt-1", at, body),
    }


def test_the_published_vectors_hold(samples: Path) -> None:
    vectors = json.loads((samples / "standard_webhooks" / "vectors.json").read_text())
    symmetric = [vector for vector in vectors if "secret" in vector]
    assert {vector["valid"] for vector in symmetric} == {True, False}
    for vector in symmetric:
        holds(vector)


def holds(vector: dict[str, Any]) -> None:
    headers = {name: value for name, value in vector.items() if name.startswith("webhook-")}
    body, secret = vector["payload"].encode(), Secret(vector["secret"])
    if vector["valid"]:
        verify(headers, body, secret, vector["now"])
        assert sign(secret, vector["webhook-id"], int(vector["webhook-timestamp"]), body) in headers[
            "webhook-signature"
        ].split(" ")
    else:
        with pytest.raises(SignatureError):
            verify(headers, body, secret, vector["now"])


@given(bodies, versions)
def test_the_reference_library_makes_the_same_signature(body: bytes, version: int) -> None:
    secret = derive_secret(MASTER, "sub-1", version)
    reference = Webhook(secret.reveal())
    theirs = reference.sign("evt-1", datetime.fromtimestamp(NOW, UTC), body.decode())
    assert sign(secret, "evt-1", NOW, body) == theirs


def test_the_reference_library_accepts_either_secret_during_a_rotation() -> None:
    old, new = derive_secret(MASTER, "sub-1", 1), derive_secret(MASTER, "sub-1", 2)
    now = int(time.time())
    body = b'{"a": 1}'
    headers = {
        "webhook-id": "evt-1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign((new, old), "evt-1", now, body),
    }
    for secret in (old, new):
        assert Webhook(secret.reveal()).verify(body, headers) == {"a": 1}
        verify(headers, body, secret, now)


@given(st.binary(), st.binary())
def test_a_changed_body_is_refused(body: bytes, other: bytes) -> None:
    secret = derive_secret(MASTER, "sub-1", 1)
    headers = signed(secret, body)
    verify(headers, body, secret, NOW)
    if other != body:
        with pytest.raises(SignatureError, match="changed body"):
            verify(headers, other, secret, NOW)


def test_a_signature_moved_to_another_event_is_refused() -> None:
    secret = derive_secret(MASTER, "sub-1", 1)
    with pytest.raises(SignatureError):
        verify(signed(secret, b"x") | {"webhook-id": "evt-2"}, b"x", secret, NOW)


@pytest.mark.parametrize(
    "forged",
    [
        "v1,",
        "v1",
        ",",
        "v1,AAAA",
        "v2,{right}",
        "v1a,{right}",
        "{right}",
        "v1,{right}=",
        "v1,\u20ac",
        "V1,{right}",
    ],
)
def test_a_forged_signature_is_refused(forged: str) -> None:
    secret = derive_secret(MASTER, "sub-1", 1)
    headers = signed(secret, b"x")
    right = headers["webhook-signature"].removeprefix("v1,")
    with pytest.raises(SignatureError) as caught:
        verify(headers | {"webhook-signature": forged.format(right=right)}, b"x", secret, NOW)
    assert caught.value.reason == "mismatch"
    assert right not in str(caught.value)


@pytest.mark.parametrize("header", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_missing_header_is_named(header: str) -> None:
    secret = derive_secret(MASTER, "sub-1", 1)
    headers = signed(secret, b"x")
    del headers[header]
    with pytest.raises(SignatureError, match=header) as caught:
        verify(headers, b"x", secret, NOW)
    assert caught.value.reason == "missing"


@pytest.mark.parametrize("off", [-TOLERANCE_S, TOLERANCE_S])
def test_five_minutes_either_way_are_tolerated_and_a_second_more_is_not(off: int) -> None:
    secret = derive_secret(MASTER, "sub-1", 1)
    headers = signed(secret, b"x")
    verify(headers, b"x", secret, NOW + off)
    with pytest.raises(SignatureError, match="5 minutes") as caught:
        verify(headers, b"x", secret, NOW + off + (1 if off > 0 else -1))
    assert caught.value.reason == "timestamp"


@pytest.mark.parametrize(
    "stamp", ["", "now", "1e9", "-1", "1.5", "\u0661\u0667\u0660", "9" * 400, " 1700000000"]
)
def test_a_timestamp_that_is_not_whole_seconds_is_refused(stamp: str) -> None:
    secret = derive_secret(MASTER, "sub-1", 1)
    with pytest.raises(SignatureError):
        verify(signed(secret, b"x") | {"webhook-timestamp": stamp}, b"x", secret, NOW)


def test_header_names_are_taken_in_any_case() -> None:
    secret = derive_secret(MASTER, "sub-1", 1)
    verify({name.title(): value for name, value in signed(secret, b"x").items()}, b"x", secret, NOW)


def test_without_any_secret_nothing_is_accepted() -> None:
    with pytest.raises(SignatureError):
        verify(signed(derive_secret(MASTER, "s", 1), b"x"), b"x", [], NOW)


def test_a_secret_does_not_show_itself(caplog: pytest.LogCaptureFixture) -> None:
    secret = derive_secret(MASTER, "sub-1", 1)
    with caplog.at_level(logging.INFO):
        logging.getLogger("x").info("%s %r %s", secret, [secret], {"secret": secret})
    shown = f"{secret} {secret!r} {[secret]} {caplog.text}"
    assert secret.reveal().removeprefix("whsec_") not in shown
    assert secret.key.hex() not in shown
    assert repr(secret.key) not in shown
    with pytest.raises(TypeError, match="pickled"):
        pickle.dumps(secret)


def test_derived_secrets_stay_the_same_and_differ_by_subscription_rotation_and_master_key() -> None:
    # The literal pins the derivation: a change would silently invalidate every subscriber's secret.
    assert derive_secret(MASTER, "sub-1", 1).reveal() == "whsec_eH0p+ey2LS55X5+JxQJbdbQm+PusQYiiPzW6XhVSEjs="
    several = {
        derive_secret(MASTER, "sub-1", 1),
        derive_secret(MASTER, "sub-1", 2),
        derive_secret(MASTER, "sub-2", 1),
        derive_secret(bytes(32), "sub-1", 1),
    }
    assert len(several) == 4
    assert all(len(secret.key) == 32 for secret in several)


def test_a_short_master_key_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="openssl rand"):
        derive_secret(b"short", "sub-1", 1)


@pytest.mark.parametrize("size", [0, 23, 65])
def test_a_secret_of_the_wrong_size_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        Secret("whsec_" + base64.b64encode(bytes(size)).decode())


def test_a_secret_that_is_not_base64_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="base64") as caught:
        Secret("whsec_p@ssword")
    assert "p@ss" not in str(caught.value)
